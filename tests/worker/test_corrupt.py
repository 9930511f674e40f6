"""Records that cannot be read: each is a dead job with cause `corrupt`, and the worker lives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from support.corruptions import CORRUPTIONS
from support.inline import in_state, working
from support.servers import eventually

from jobd import Fixed, Job, Jobd
from jobd.broker.commands import Blame
from jobd.seams.scoreboard_page import Page


@dataclass
class Order:
    """An argument with a mind of its own."""

    number: int

    def __post_init__(self) -> None:
        raise KeyError("no such order")


@pytest.mark.parametrize("wants_job", [False, True], ids=["plain", "with context"])
def test_each_corruption_is_a_death_and_the_worker_goes_on(
    app: Jobd, page: Page, wants_job: bool
) -> None:
    """All of them in one line, between healthy jobs: nothing else is touched."""
    queue = app.queue("q")
    if wants_job:

        @queue.task("work")
        def with_context(job: Job, n: Any) -> Any:
            return n
    else:

        @queue.task("work")
        def plain(n: Any) -> Any:
            return n

    client = app.producer.client
    bad = {}
    for name, corrupt in CORRUPTIONS.items():
        queue.add("work", {"n": 0})
        bad[name] = queue.add("work", {"n": 1})
        corrupt(client, f"jobd:{{q}}:job:{bad[name].id}")
    with working(app, queue, page) as running:
        eventually(in_state(app, "completed", len(bad)))
        eventually(in_state(app, "dead", len(bad)))
        assert queue.add("work", {"n": 2}).result("10s") == 2
        # All but those that the claim itself found.
        assert set(running.said) == {"job.dead"}

    found = {name: job.info() for name, job in bad.items()}
    causes = {name: info.cause if info else None for name, info in found.items()}
    assert causes == dict.fromkeys(bad, "corrupt")
    assert client.xlen("jobd:{q}:outbox") == len(bad)


def test_arguments_whose_own_type_refuses_them_are_undecodable(app: Jobd, page: Page) -> None:
    """A dataclass may raise whatever it likes while it is made; that is not the worker's end."""
    queue = app.queue("q")

    @queue.task()
    def pay(order: Order) -> None: ...

    with working(app, queue, page):
        job = queue.add("pay", {"order": {"number": 1}})
        eventually(lambda: job.state() == "dead")
    info = job.info()

    assert info is not None
    assert info.cause == "undecodable"
    assert "no such order" in str(info.error)


def test_a_priority_nobody_can_read_is_the_usual_one(app: Jobd, page: Page) -> None:
    """It is asked for when a job goes back into line: after a retry at once."""
    queue = app.queue("q", attempts=2, backoff=Fixed(0))
    ran: list[int] = []

    @queue.task()
    def second_time() -> str:
        ran.append(1)
        if len(ran) == 1:
            raise ValueError("not yet")
        return "done"

    job = second_time.enqueue()
    app.producer.client.hset(f"jobd:{{q}}:job:{job.id}", "priority", "urgent")
    with working(app, queue, page):
        assert job.result("10s") == "done"


@pytest.mark.parametrize("entry", [b"\xff\xfe", b"", b"7", b"x:y", b"1:nan", b"1:2:3"])
def test_a_wrong_claim_gives_the_job_back(app: Jobd, page: Page, entry: bytes) -> None:
    """Held under a claim that is not ours or cannot be read: it goes back into line and runs."""
    queue = app.queue("q")

    @queue.task()
    def work() -> str:
        return "ran"

    client = app.producer.client
    store = app.producer.store("q")
    store.join("w.1", 30_000)
    job = work.enqueue()
    assert store.claim("w.1", 30_000).jobs
    client.hset("jobd:{q}:held:w.1", job.id, entry)
    with working(app, queue, page) as running:
        assert job.result("10s") == "ran"
        assert running.said == []


@pytest.mark.parametrize("entry", [b"\xff\xfe", b"7", b"1:nan"])
@pytest.mark.parametrize("how", ["release", "reap"])
def test_a_dead_workers_wrong_claims_hold_nothing_up(app: Jobd, how: str, entry: bytes) -> None:
    """Released or reaped: all it held is back, the unreadable too, also with a broken counter."""
    queue = app.queue("q")
    jobs = [queue.add("work", {}) for _ in range(3)]
    client, store = app.producer.client, app.producer.store("q")
    store.join("w.1", 1000)
    for _ in jobs:
        assert store.claim("w.1", 1000).jobs
    client.hset("jobd:{q}:held:w.1", jobs[0].id, entry)
    client.hset(f"jobd:{{q}}:job:{jobs[1].id}", mapping={"crashes": "many", "lost": "often"})
    client.hset("jobd:{q}:tally", mapping={"crashes": "x", "lost": "x", "leases_expired": "x"})

    if how == "release":
        store.release("w.1", [Blame(job.id, "crashes", b'{"kind":"crash"}') for job in jobs])
    else:
        client.zadd("jobd:{q}:leases", {"w.1": 1})
        assert store.reap("w.1", "1")

    assert app.producer.views().counts("q")["waiting"] == 3
    assert store.open_leases() == {}


@pytest.mark.parametrize("garbage", [b"many", b"nan", b"inf", b"\xff", b"1e5", b"9" * 40])
def test_broken_numbers_of_a_queue_are_begun_anew(app: Jobd, page: Page, garbage: bytes) -> None:
    """seq, claim and the tallies: jobs come before statistics, and none is lost on the way."""
    queue = app.queue("q")

    @queue.task()
    def work(n: int) -> int:
        return n

    client = app.producer.client
    job = work.enqueue(n=1)
    later = work.using(delay="1ms").enqueue(n=2)
    fields: dict[Any, Any] = {"seq": garbage, "claim": garbage}
    client.hset("jobd:{q}:meta", mapping=fields)
    client.hset("jobd:{q}:tally", mapping={"completed|work": garbage})
    with working(app, queue, page) as running:
        assert (job.result("10s"), later.result("10s")) == (1, 2)
        client.hset("jobd:{q}:meta", mapping=fields)
        assert work.enqueue(n=3).result("10s") == 3
        assert running.said == []
    assert int(client.hget("jobd:{q}:meta", "claim") or 0) > 1e15
    assert int(client.hget("jobd:{q}:tally", "completed|work") or 0) >= 1
