"""Records for systemd's journal, as it would read them."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.journald import Journald, parse

from jobd.core.events import AppLoaded, WorkerDied
from jobd.core.job_events import JobDied
from jobd.core.output_events import TaskOutput
from jobd.core.progress_events import Stacks
from jobd.seams import journal
from jobd.seams.log import Log, paragraph

MakeLog = Callable[..., Log]
DEAD = JobDied(
    job="0193", token=7, task="welcome", cause="failed", error='ValueError: "no"\n\x1b[31m'
)


@pytest.fixture
def journald(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journald]:
    made = Journald(tmp_path / "socket")
    monkeypatch.setattr(journal, "SOCKET", made.path)
    yield made
    made.close()


@pytest.fixture
def stderr(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    path = tmp_path / "stderr"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    yield descriptor, path
    os.close(descriptor)


@pytest.fixture
def log(stderr: tuple[int, Path]) -> Iterator[MakeLog]:
    opened: list[Log] = []

    def make(style: str = "journal", patience: float = 0.0) -> Log:
        bound = {"slot": "email.2"}
        opened.append(
            Log(
                style=style,
                level="info",
                role="worker",
                fd=stderr[0],
                patience=patience,
                bound=bound,
            )
        )
        return opened[-1]

    yield make
    for each in opened:
        for descriptor in each.descriptors[1:]:
            os.close(descriptor)


def test_a_record_is_its_fields_and_one_readable_line(journald: Journald, log: MakeLog) -> None:
    """So that `journalctl JOBD_QUEUE=email -p err` finds it, and `journalctl` shows it."""
    log()(DEAD)
    (entry,) = journald.entries()
    assert entry == {
        "MESSAGE": [
            rb'worker: job.dead         slot=email.2 job=0193 task=welcome cause=failed '
            rb'error="ValueError: \"no\"\n\u001b[31m"'
        ],
        "PRIORITY": [b"3"],
        "SYSLOG_IDENTIFIER": [b"jobd"],
        "JOBD_EVENT": [b"job.dead"],
        "JOBD_ROLE": [b"worker"],
        "JOBD_SLOT": [b"email.2"],
        "JOBD_QUEUE": [b"email"],
        "JOBD_JOB": [b"0193"],
        "JOBD_TOKEN": [b"7"],
        "JOBD_TASK": [b"welcome"],
        "JOBD_CAUSE": [b"failed"],
        "JOBD_ERROR": [b'ValueError: "no"\n\x1b[31m'],
    }  # fmt: skip


def test_a_worker_that_died_is_found_by_each_of_its_jobs(journald: Journald, log: MakeLog) -> None:
    log()(WorkerDied(slot="q.1", incarnation="n.4", cause="crash", how="SIGSEGV", jobs=("a", "b"),
                     restart_in=0.1))  # fmt: skip
    log()(AppLoaded(app="a:b", queues=("email", "reports")))
    died, loaded = journald.entries()
    assert died["JOBD_JOB"] == [b"a", b"b"]
    assert (died["JOBD_WORKER"], died["JOBD_QUEUE"]) == ([b"n.4"], [b"q"])
    assert b"n.4" not in died["MESSAGE"][0]
    assert loaded["JOBD_QUEUE"] == [b"email", b"reports"]


def test_what_is_printed_is_there_once_and_each_part_fits(journald: Journald, log: MakeLog) -> None:
    text = "\x00\n=" * 9000
    log()(TaskOutput(slot="q.1", text=text))
    datagrams = journald.datagrams()
    log()(Stacks(who="q.1", pid=1, why="hung", stacks='File "x", line 1\n' * 2000))
    datagrams += journald.datagrams()
    assert max(map(len, datagrams)) <= 16 << 10
    printed = [e for e in map(parse, datagrams) if e["JOBD_EVENT"] == [b"task.output"]]
    said = b"".join(entry["MESSAGE"][0].partition(b" | ")[2] for entry in printed)
    assert said == rb"\u0000\u000a=" * 9000
    assert not any("JOBD_TEXT" in entry for entry in printed)
    stacks = [e for e in map(parse, datagrams) if e["JOBD_EVENT"] == [b"process.stacks"]]
    assert b"".join(e["JOBD_STACKS"][0] for e in stacks) == b'File "x", line 1\n' * 2000


def test_a_record_of_any_event_is_cut_to_fit(journald: Journald, log: MakeLog) -> None:
    """The longest text first; what there is besides stays whole."""
    log()(JobDied(job="0193", token=7, task="t" * 200, cause="failed", error="\x07é" * 100_000))
    (datagram,) = journald.datagrams()
    entry = parse(datagram)
    assert 4096 < len(datagram) <= 16 << 10
    assert entry["JOBD_TASK"] == [b"t" * 200]
    assert entry["JOBD_ERROR"][0].decode().endswith("é…") or entry["JOBD_ERROR"][0].endswith(
        "\x07…".encode()
    )


def test_a_journal_that_stands_still_costs_records_and_a_bounded_wait(
    journald: Journald, log: MakeLog, stderr: tuple[int, Path]
) -> None:
    """Then their number is told. Nothing goes to standard error instead: the journal is there."""
    say = log(patience=0.2)
    began = time.monotonic()
    for _ in range(2000):
        say(DEAD)
    assert 0.2 <= time.monotonic() - began < 20.0
    kept = len(journald.datagrams())
    assert 0 < kept < 1900
    say(DEAD)
    again, told = journald.entries()
    assert again["JOBD_EVENT"] == [b"job.dead"]
    assert told["JOBD_EVENT"] == [b"log.stalled"]
    assert int(told["JOBD_RECORDS"][0]) == 2000 - kept
    assert stderr[1].read_bytes() == b""


def test_where_there_is_no_journal_lines_go_to_standard_error(
    journald: Journald, log: MakeLog, stderr: tuple[int, Path]
) -> None:
    """At the start, in between, and the other way round: nobody asks for it but the next record."""
    journald.close()
    say = log()
    say(DEAD)
    assert stderr[1].read_bytes().startswith(b"<3>worker: job.dead ")
    journald.open()
    say(DEAD)
    journald.close()
    say(DEAD)
    journald.open()
    say(DEAD)
    assert len(journald.entries()) == 1
    assert len(stderr[1].read_bytes().splitlines()) == 2


def test_one_who_refuses_is_no_journal(
    tmp_path: Path, journald: Journald, log: MakeLog, stderr: tuple[int, Path]
) -> None:
    journald.close()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(str(journald.path))
        log()(DEAD)
    assert stderr[1].read_bytes().startswith(b"<3>worker: ")


def test_a_number_that_is_another_files_by_now_is_not_written_to(
    tmp_path: Path, journald: Journald, log: MakeLog, stderr: tuple[int, Path]
) -> None:
    """A task may close all it finds; the record goes to the journal all the same."""
    say = log()
    say(DEAD)
    _, ours = say.descriptors
    assert ours >= 200
    assert not os.get_inheritable(ours)
    os.close(ours)
    somebodys, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    os.dup2(somebodys.fileno(), ours)
    other.setblocking(False)

    say(DEAD)

    assert len(journald.entries()) == 2
    with pytest.raises(BlockingIOError):
        other.recv(1)
    assert stderr[1].read_bytes() == b""
    for each in (somebodys, other):
        each.close()
    os.close(ours)


def test_auto_is_the_journal_where_it_reads_that_very_stream(
    journald: Journald, log: MakeLog, stderr: tuple[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = os.fstat(stderr[0])
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
    log("auto")(DEAD)
    assert len(journald.entries()) == 1
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino + 1}")
    log("auto")(DEAD)
    assert journald.entries() == []
    assert stderr[1].read_bytes().startswith(b'{"ts":')


def test_a_paragraph_for_the_journal_has_its_priority_on_each_line(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paragraph("one\ntwo", "warning")
    found = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
    assert journal.is_behind(2)
    paragraph("one\ntwo", "warning")
    paragraph("three")
    assert capfd.readouterr().err == "one\ntwo\n<4>one\n<4>two\n<3>three\n"


def test_nobody_stands_behind_a_closed_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    assert not journal.is_behind(9999)
