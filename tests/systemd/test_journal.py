"""What journalctl shows of the unit: fields to ask by, priorities, last words, and no secret."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.servers import eventually
from support.unit import CANARY, Service


def test_a_queue_and_a_job_are_found_by_their_fields(service: Service) -> None:
    """`journalctl -u jobd JOBD_QUEUE=q`: all about it, whoever in the daemon said it."""
    job = service.add("fails")
    parked = service.add("from-the-future")
    eventually(lambda: job.state() == "dead" and parked.state() == "delayed")

    def told() -> list[dict[str, Any]]:
        return service.journal(f"JOBD_JOB={job.id}")

    [died] = eventually(told)
    assert {name: died[name] for name in died if name.startswith("JOBD_")} == {
        "JOBD_EVENT": "job.dead",
        "JOBD_ROLE": "worker",
        "JOBD_QUEUE": "q",
        "JOBD_SLOT": died["JOBD_SLOT"],
        "JOBD_JOB": job.id,
        "JOBD_TOKEN": died["JOBD_TOKEN"],
        "JOBD_TASK": "fails",
        "JOBD_CAUSE": "failed",
        "JOBD_ERROR": "ValueError: on purpose",
    }
    assert died["_TRANSPORT"] == "journal"
    assert (died["SYSLOG_IDENTIFIER"], died["PRIORITY"]) == ("jobd", "3")
    assert died["_SYSTEMD_UNIT"] == "jobd.service"
    assert int(died["JOBD_TOKEN"]) > 0

    priorities = {line["JOBD_EVENT"]: line["PRIORITY"] for line in service.journal("JOBD_QUEUE=q")}
    assert priorities["worker.started"] == "6"
    assert priorities["task.unknown"] == "4"
    assert priorities["job.dead"] == "3"
    assert "daemon.ready" not in priorities
    ready = service.journal("JOBD_EVENT=daemon.ready")
    assert {line["PRIORITY"] for line in ready} == {"6"}


@pytest.fixture
def frozen(service: Service) -> Iterator[Callable[[], None]]:
    """Freeze the journal, which has heard nothing of these workers yet; what is given thaws it."""
    service.systemctl("restart")
    service.settled(2)
    service.machine.run("journalctl", "--sync")
    shown = service.machine.run("systemctl", "show", "-p", "MainPID", "systemd-journald").stdout
    pid = shown.strip().partition("=")[2]
    service.machine.run("kill", "-STOP", pid)

    def thaw() -> None:
        service.machine.run("kill", "-CONT", pid, check=False)

    yield thaw
    thaw()


def test_the_last_words_of_a_process_are_in_the_journal_of_the_unit(
    service: Service, frozen: Callable[[], None]
) -> None:
    """The journal reads them when who said them has ended; it knows all the same whose they are."""
    text = "last words \x1b[31mred\x1b[0m \u202e\x07é"
    job = service.add("last_words", text=text)
    eventually(lambda: job.state() == "dead")
    frozen()

    def told() -> list[dict[str, Any]]:
        found = service.journal("JOBD_EVENT=task.output", "JOBD_STREAM=stdout")
        return [line for line in found if "last words" in line["MESSAGE"]]

    [found] = eventually(told)
    assert found["JOBD_JOB"] == job.id
    assert found["MESSAGE"].endswith(" | last words red \\u202e\\u0007é")
    assert found["_SYSTEMD_UNIT"] == "jobd.service"
    died = service.journal("JOBD_EVENT=worker.died", f"JOBD_JOB={job.id}")
    assert [line["JOBD_HOW"] for line in died] == ["SIGSEGV"]


def test_a_task_that_closes_all_there_is_takes_no_record_along(service: Service) -> None:
    """What it says still gets to the journal, and a fresh process takes over."""
    job = service.add("closes_everything", text="all of it is closed")
    job.result()

    def told() -> dict[str, str]:
        return {
            line["JOBD_EVENT"]: line["MESSAGE"] for line in service.journal(f"JOBD_JOB={job.id}")
        }

    eventually(lambda: "worker.recycles" in told())
    assert told()["task.output"].endswith(" | all of it is closed")
    assert "closed or replaced: " in told()["worker.recycles"]
    service.settled(2)


def test_a_journal_that_stands_still_or_is_restarted_stops_no_work(
    service: Service, frozen: Callable[[], None]
) -> None:
    """Records are lost then, and their number is told."""
    assert service.add("prints", lines=3000).result() == 3000
    assert service.add("double", n=4).result() == 8
    frozen()

    def told() -> list[dict[str, Any]]:
        service.add("prints", lines=1).result()  # by one of two workers
        return service.journal("JOBD_EVENT=log.stalled")

    [lost, *_] = eventually(told)
    assert int(lost["JOBD_RECORDS"]) > 0

    service.machine.run("systemctl", "restart", "systemd-journald")
    job = service.add("fails")
    eventually(lambda: service.journal(f"JOBD_JOB={job.id}"))


def test_no_secret_is_in_any_of_it(service: Service) -> None:
    """Redis' password in the URL, over all that the tests have done, and while Redis is away."""
    service.machine.run("systemctl", "stop", "redis")
    lost = eventually(lambda: service.journal("JOBD_EVENT=broker.lost"))
    assert lost
    eventually(lambda: "Redis does not answer" in service.show("StatusText"))
    service.machine.run("systemctl", "start", "redis")
    eventually(lambda: service.show("StatusText") == "running: 2 of 2 workers")

    lines = service.machine.run("journalctl", "-u", "jobd", "-o", "export", "--no-pager").stdout
    assert len(lines) > 10_000
    # The server's own command line is not ours.
    assert CANARY not in lines
    assert json.dumps(CANARY)[1:-1] not in json.dumps(service.journal())
