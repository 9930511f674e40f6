"""One record in the outbox for each death, whatever it was of and whoever died with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from support.inline import in_state, working
from support.servers import eventually

from jobd import BrokerUnavailable, Discard, Jobd, JobHandle, Queue
from jobd.broker.commands import Blame
from jobd.broker.connection import Client
from jobd.core.states import DEAD_CAUSES
from jobd.seams.clock import wall_ms
from jobd.seams.scoreboard_page import Page

JOB = "jobd:{q}:job:a"


@pytest.fixture
def q(app: Jobd) -> Queue:
    queue = app.queue("q", max_crashes=2)

    @queue.task()
    def work(how: str) -> object:
        if how == "fails":
            raise ValueError("no")
        if how == "discards":
            raise Discard("off")
        return object() if how == "odd" else None

    return queue


def told(client: Client) -> Counter[tuple[str, str]]:
    """Count the deaths that the outbox tells of, by job and cause."""
    found: Any = client.xrange("jobd:{q}:outbox")
    assert {facts[b"event"] for _, facts in found} <= {b"dead"}
    return Counter((facts[b"id"].decode(), facts[b"cause"].decode()) for _, facts in found)


def added(queue: Queue, how: str = "well", **options: Any) -> JobHandle[Any]:
    return queue.add("work", {"how": how}, job_id="a", **options)


def ended_with(queue: Queue, counter: str, times: int) -> None:
    """Let the job's process end so many times."""
    added(queue)
    store = queue._producer.store("q")
    for n in range(times):
        name = f"dead.{n}"
        store.join(name, 30_000)
        store.claim(name, 30_000)
        store.release(name, [Blame("a", counter, b'{"kind":"crash"}')])
        store.release(name, [Blame("a", counter, b'{"kind":"crash"}')])


def changed(queue: Queue, **fields: str | bytes) -> None:
    """Let a record hold something else than was added."""
    added(queue)
    queue._producer.client.hset(JOB, mapping=fields | {"more": "1"})  # type: ignore[arg-type]


# How each cause comes about, for a worker that finds the job.
DEATHS: dict[str, Callable[[Queue], object]] = {
    "failed": lambda q: added(q, "fails"),
    "timeout": lambda q: ended_with(q, "timeouts", 1),
    "poison": lambda q: ended_with(q, "crashes", 2),
    "lost": lambda q: changed(q, lost="10"),
    "discarded": lambda q: added(q, "discards"),
    "undecodable": lambda q: q.add("work", {"what": 1}, job_id="a"),
    "unencodable": lambda q: added(q, "odd"),
    "corrupt": lambda q: changed(q, failed="many"),
    "corrupt at its claim": lambda q: (added(q), q._producer.client.delete(JOB)),
    "expired": lambda q: changed(q, expires="1"),
    "unknown_task": lambda q: changed(q, task="nobody", parked=f"{wall_ms() - 7_200_000}"),
}


def test_every_cause_has_its_death_here() -> None:
    """None is forgotten."""
    assert {name.partition(" ")[0] for name in DEATHS} == set(DEAD_CAUSES)


@pytest.mark.parametrize("death", DEATHS)
def test_each_death_is_told_once(app: Jobd, q: Queue, page: Page, death: str) -> None:
    """Whatever it was of; a second one, after somebody's retry, is a second one."""
    client = app.producer.client
    cause = death.partition(" ")[0]
    DEATHS[death](q)
    with working(app, q, page):
        eventually(in_state(app, "dead", 1))
        assert told(client) == {("a", cause): 1}
    info = q.job("a").info()
    assert info is not None
    assert info.cause == cause

    assert q.job("a").retry() == "retried"
    with working(app, q, page, "w.2"):
        eventually(lambda: q.job("a").state() in ("dead", "completed", "delayed"))
    again = q.job("a").state() == "dead"  # what nobody knows is parked again
    assert sum(told(client).values()) == 1 + again


@pytest.mark.parametrize("death", DEATHS)
def test_a_death_whose_answer_was_lost_is_told_once(
    app: Jobd, q: Queue, page: Page, death: str
) -> None:
    """The worker settles it again over a new link, or its successor finds it settled."""
    client = app.producer.client
    DEATHS[death](q)
    cut: list[str] = []
    with working(app, q, page) as worker:
        talk = worker.loop._talk
        real = talk._read

        def read(exchange: Any) -> Any:
            answer = real(exchange)
            if not cut and app.producer.views().counts("q")["dead"]:
                cut.append("once")
                raise BrokerUnavailable("cut", outcome_unknown=True)
            return answer

        talk._read = read  # type: ignore[method-assign]
        eventually(lambda: cut)
        q.add("work", {"how": "well"}, job_id="next")
        eventually(lambda: q.job("next").state() == "completed")
    assert told(client) == {("a", death.partition(" ")[0]): 1}
