"""The fleet: what hosts said of themselves, whom it stands out for, who may act on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.api import HOSTILE, NAMESPACE
from support.pages import PageSite, tree

from jobd.broker import hosts
from jobd.broker.store import register_queues, store_ms
from jobd.core.portrait import Daemon, Growth, QueueView, Reload, Worker
from jobd.web.pages.workers import MOST_SHOWN


@pytest.fixture
def site(redis_url: str, tmp_path: Path) -> PageSite:
    return PageSite(redis_url, tmp_path)


def worker(slot: str = "mail.1", **more: Any) -> Worker:
    fields: dict[str, Any] = {
        "slot": slot, "queue": slot.rpartition(".")[0], "phase": "idle", "pid": 41,
        "incarnation": f"n.{slot}", "restarts": 0, "last_exit": None,
    }  # fmt: skip
    return Worker(**(fields | more))


def daemon(*workers: Worker, **more: Any) -> Daemon:
    fields: dict[str, Any] = {
        "running": True, "stopping": False, "pid": 7, "started_at": 1.0, "up_for": 7200.0,
        "generation": 1, "last_error": None, "helpers": {"keeper": "running"}, "nonce": "n",
        "host": "web1", "jobd": "1.2.3", "answers": "yes", "workers_in_all": len(workers),
    }  # fmt: skip
    return Daemon(workers=list(workers), **(fields | more))


Say = Callable[..., None]


@pytest.fixture
def say(site: PageSite) -> Say:
    def say(
        key: str, said: Daemon, *, ago: float = 0.0, ahead: float = 0.0, at: int | None = None
    ) -> None:
        """Have a host say how it is, so many seconds ago, or before `at`."""
        now = store_ms(site.client) if at is None else at
        hosts.say(site.client, NAMESPACE, key, said, wall_ms=now + round((ahead - ago) * 1000))
        field = site.client.hget(f"{NAMESPACE}:hosts", key).partition(b" ")[2]
        site.client.hset(f"{NAMESPACE}:hosts", key, b"%d " % round(now - ago * 1000) + field)

    return say


def test_daemons_of_one_machine_are_told_apart_on_the_page_of_a_queue(
    site: PageSite, say: Say
) -> None:
    register_queues(site.client, NAMESPACE, ["mail"])
    for key, host in (("a", "web1"), ("b", "web1"), ("c", "db")):
        say(key, daemon(worker(), host=host, runtime_dir=f"/run/{key}"))
    rows = tree(site.get("/queues/mail")).all("td", data_label="Host")
    assert sorted(row.text for row in rows) == ["db", "web1 /run/a", "web1 /run/b"]


def test_a_fleet_that_is_not_there_says_how_to_start_one(site: PageSite) -> None:
    page = tree(site.get("/workers"))
    assert "No daemon is heard of." in page.text
    assert "jobd run -c jobd.toml" in page.text


def test_a_host_is_shown_with_its_queues_and_slots(site: PageSite, say: Say) -> None:
    busy = worker(
        phase="busy", running=2, job="j-1", task="send", running_for=90.0, up_for=600.0, settled=1234,
        memory=50_000_000, memory_past=[40_000, 48_000], restarts=3, exits={"memory": 1, "crash": 2},
        last_exit="memory",
    )  # fmt: skip
    view = QueueView(
        wanted=4, least=1, most=8, explain="1.2 s of work is due", exits={"crash": 2},
        growth=[Growth(task="leaky", bytes=10**9, jobs=10), Growth(task="fine", bytes=9, jobs=1)],
    )  # fmt: skip
    say("web1-1", daemon(busy, queues={"mail": view}), ahead=3.0)
    page = tree(site.get("/workers"))
    host = page.by_id("host-web1-1")
    assert {"1.2.3", "keeper", "3 s ahead of Redis"} <= set(_texts(host))
    pool = page.by_id("pool-web1-1-mail").text
    for said in (
        "1 of 4",
        "1 \u2013 8",
        "1.2 s of work is due",
        "crash \u00d7 2",
        "leaky +100MB a job",
    ):
        assert said in pool
    assert "fine" not in pool
    row = page.by_id("worker-web1-1-mail.1-n.mail.1")
    for said in (
        "mail.1",
        "busy",
        "and 1 more",
        "1,234",
        "50MB",
        "crash \u00d7 2, memory \u00d7 1",
        "last: memory",
    ):
        assert said in row.text
    assert row.links["send"] == "/queues/mail/jobs/j-1"
    assert "from 41MB to 49.2MB" in row.one("svg").attrs["aria-label"]
    assert site.api.get("/hosts")["hosts"][0]["said_at"] is not None


def _texts(node: Any) -> list[str]:
    return [each.text for each in node.walk()]


def test_what_is_wrong_with_a_host_stands_out(site: PageSite, say: Say) -> None:
    say("quiet", daemon(host="quiet"), ago=60)
    say("bad", daemon(
        host="bad", reload=Reload(ago=5.0, error="no such module: shop"), helpers={"keeper": "down"},
        queues={"mail": QueueView(wanted=1, gave_up=True, useless=9)},
    ))  # fmt: skip
    site.client.hset(f"{NAMESPACE}:hosts", "newer", b"%d [1]" % store_ms(site.client))
    say("a", daemon())
    page = tree(site.get("/workers"))
    hosts_shown = [node.attrs["id"] for node in page.all("section", "aria-labelledby")]
    assert hosts_shown == ["host-bad", "host-newer", "host-quiet", "host-a"]
    quiet, bad, newer = (page.by_id(f"host-{key}") for key in ("quiet", "bad", "newer"))
    assert "Silent." in quiet.text
    assert "1 silent" in page.by_id("fleet").text
    assert "The reload was refused" in bad.text
    assert "no such module: shop" in bad.text
    assert "mail gave up. 9 workers in a row" in bad.text
    assert "keeper down" in bad.text
    assert "Not understood." in newer.text


def test_the_fleet_of_one_queue(site: PageSite, say: Say) -> None:
    say("a", daemon(worker("mail.1"), worker("img.1"), queues={"mail": QueueView(wanted=1)}))
    say("b", daemon(worker("img.1")))
    page = tree(site.get("/workers?queue=mail"))
    assert [node.attrs["id"] for node in page.all("section", class_="card stack host")] == [
        "host-a"
    ]
    assert len(page.all("tr", id="worker-a-img.1-n.img.1")) == 0
    assert page.one("option", "selected").text == "mail"
    assert "No worker of this queue." in tree(site.get("/workers?queue=none")).text


def test_two_looks_at_the_same_fact_are_the_same(site: PageSite, say: Say) -> None:
    def word(passed: float) -> Daemon:
        job = worker(
            phase="busy", running=1, job="j", task="t", running_for=50 + passed, up_for=90 + passed
        )
        return daemon(job, up_for=100 + passed, queues={"mail": QueueView(wanted=1)})

    now = store_ms(site.client)
    say("a", word(0.0), ago=10.25, at=now)
    before = site.parts("/workers")
    say("a", word(5.0), ago=5.25, at=now)
    assert site.parts("/workers") == before
    assert "data-clock" in before["worker-a-mail.1-n.mail.1"]


def test_a_job_that_had_just_begun_has_no_clock(site: PageSite, say: Say) -> None:
    say("a", daemon(worker(phase="busy", running=1, job="j", task="t", running_for=0.5)))
    assert "data-clock" not in site.parts("/workers")["worker-a-mail.1-n.mail.1"]


def test_a_slot_moves_by_itself_and_alone(site: PageSite, say: Say) -> None:
    now = store_ms(site.client)
    say("a", daemon(worker(), worker("mail.2")), at=now)
    with site.watch("/workers") as news:
        news.next("whole")
        say("a", daemon(worker(settled=5), worker("mail.2")), at=now)
        content = news.next("parts")
    assert list(content["parts"]) == ["worker-a-mail.1-n.mail.1"]


def test_an_operator_recycles_and_looks_at_stacks_and_a_viewer_does_not(
    site: PageSite, say: Say
) -> None:
    say("a", daemon(worker(), worker("mail.1", leaving="recycled", incarnation="n.0")))
    of_all = {"Stacks of all processes": "POST /api/v1/hosts/a/dump"}
    for path, more in (("/workers", {}), ("/workers/a", of_all), ("/workers/a/mail.1", {})):
        assert tree(site.get(path, "operator")).one("main").acts == more | {
            "Recycle": "POST /api/v1/hosts/a/workers/mail.1/recycle",
            "Stacks": "POST /api/v1/hosts/a/workers/mail.1/dump",
        }
        assert tree(site.get(path)).one("main").acts == {}


def test_one_host_and_one_slot_have_pages(site: PageSite, say: Say) -> None:
    say("a", daemon(worker(), worker("mail.1", leaving="recycled", incarnation="n.0")))
    assert "1.2.3" in tree(site.get("/workers/a")).text
    page = tree(site.get("/workers/a/mail.1"))
    assert "jobd recycle mail.1" in page.text
    assert "leaving recycled" in page.text
    for path, why in (("/workers/b", "host 'b'"), ("/workers/a/mail.9", "slot 'mail.9'")):
        answer = site.ask(path)
        assert answer.status_code == 404
        assert why in tree(answer.text).text


def test_of_a_large_fleet_so_many_slots_are_shown_and_all_are_counted(
    site: PageSite, say: Say
) -> None:
    many = [worker(f"mail.{n}") for n in range(256)]
    for key in "abc":
        say(key, daemon(*many, workers_in_all=1000))
    page = tree(site.get("/workers"))
    assert len(page.all("th", scope="row")) == MOST_SHOWN
    assert "Workers 3,000" in page.by_id("fleet").text
    assert "0 of 1,000 workers are shown" in page.by_id("host-c").text
    assert len(tree(site.get("/workers/c")).all("th", scope="row")) == 256


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_stranger_says_of_a_host_is_text(site: PageSite, say: Say, text: str) -> None:
    text = text[:2000]
    hostile = worker(
        text, queue=text, phase=text, incarnation=text, job=text, task=text, running=1,
        running_for=1e300, up_for=-1e300, exits={text: 1}, last_exit=text, restarts=1,
    )  # fmt: skip
    view = QueueView(wanted=1, explain=text, growth=[Growth(task=text, bytes=10**9, jobs=0)])
    say("a", daemon(
        hostile, hostile, host=text, jobd=text, last_error=text, helpers={text: text},
        runtime_dir=text, queues={text: view}, reload=Reload(ago=1e300, error=text),
    ))  # fmt: skip
    for path in ("/workers", "/workers/a"):
        page = tree(site.get(path, "operator"))
        assert "alert(1)" not in "".join(node.text for node in page.all("script"))
        assert len(page.by_id("main").all("script")) == 0


def test_a_word_of_another_time_is_shown_as_it_is(site: PageSite) -> None:
    said = msgspec.json.encode({"wall_ms": 10**18, "daemon": msgspec.to_builtins(daemon(worker()))})
    site.client.hset(f"{NAMESPACE}:hosts", "a", b"999999999999999 " + said)
    assert "mail.1" in tree(site.get("/workers")).text


def test_a_number_larger_than_any_is_none(site: PageSite, say: Say) -> None:
    much = 10**400
    say("a", daemon(worker(memory=much, memory_past=[much, 1], settled=much, restarts=much)))
    row = tree(site.get("/workers")).by_id("worker-a-mail.1-n.mail.1")
    assert "1,000" not in row.text
