"""The keeper's tidying on a real server, one bite at a time."""

from __future__ import annotations

import math

import pytest
from support.policies import NOTHING

from jobd.broker.commands import PROMOTE_BITE, TRIM_BITE, NewJob
from jobd.broker.connection import Client, connect
from jobd.broker.store import Store
from jobd.keeper.tidy import LONGEST_PAUSE, SHARE, Tidier


@pytest.fixture
def redis(redis_url: str) -> Client:
    return connect(redis_url)


class Times:
    """A clock on which each look costs 3 ms, or more."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.cost = 0.003

    def __call__(self) -> float:
        self.now += self.cost
        return self.now


def tidier(redis: Client, name: str = "k", clock: Times | None = None) -> Tidier:
    return Tidier(
        name=name,
        store=lambda queue: Store(redis, "t", queue),
        retention=lambda _: NOTHING,
        clock=clock or Times(),
    )


def cancelled(redis: Client, queue: str, n: int) -> None:
    store, ids = Store(redis, "t", queue), [f"j{i}" for i in range(n)]
    store.add([NewJob(i, "noop", b"{}") for i in ids])
    store.cancel(ids)


def test_a_queue_without_workers_is_trimmed_to_the_end_bite_by_bite(redis: Client) -> None:
    """One bite at the beginning; then as many as it takes, and none after the last."""
    cancelled(redis, "q", 3 * TRIM_BITE + 1)
    mine = tidier(redis)
    assert mine.due == math.inf

    mine.begin(["q", "other"])
    left = [redis.zcard("t:{q}:cancelled")]
    while mine.due < math.inf:
        mine.go_on()
        left.append(redis.zcard("t:{q}:cancelled"))
    assert left == [2 * TRIM_BITE + 1, TRIM_BITE + 1, 1, 0]
    assert redis.keys("t:{q}:job:*") == []


def test_after_a_bite_there_is_a_pause_of_many_times_what_it_took(redis: Client) -> None:
    """So the others keep their share of Redis; a slow answer makes it longer, up to an end."""
    cancelled(redis, "q", 3 * TRIM_BITE)
    clock = Times()
    mine = tidier(redis, clock=clock)
    mine.begin(["q"])
    assert mine.due == pytest.approx(clock.now + 0.003 * (1 / SHARE - 1))

    clock.cost = 60
    mine.go_on()
    assert mine.due == pytest.approx(clock.now + LONGEST_PAUSE)


def test_queues_take_turns_and_hosts_do_not_press_together(redis: Client) -> None:
    """A queue with a million to go keeps none waiting; a second keeper leaves it alone."""
    for queue in ("a", "b"):
        cancelled(redis, queue, 2 * TRIM_BITE + 1)
    one, two = tidier(redis, "one"), tidier(redis, "two")

    one.begin(["a", "b"])
    two.begin(["a", "b"])
    assert two.due == math.inf
    one.begin([])
    sizes = []
    for _ in range(2):
        one.go_on()
        sizes.append([redis.zcard(f"t:{{{queue}}}:cancelled") for queue in ("a", "b")])
    assert sizes == [[1, TRIM_BITE + 1], [1, 1]]


def test_what_is_due_is_seen_to_be_waiting(redis: Client) -> None:
    """Also where all workers are busy, or there are none."""
    n = PROMOTE_BITE + 1
    long_ago = Store(redis, "t", "q", now=1_000_000)
    long_ago.add([NewJob(f"j{i}", "noop", b"{}", due="+1000") for i in range(n)])
    mine = tidier(redis)

    mine.begin(["q"])
    assert redis.zcard("t:{q}:delayed") == 1
    mine.go_on()
    assert (redis.zcard("t:{q}:delayed"), redis.zcard("t:{q}:waiting"), mine.due) == (
        0,
        n,
        math.inf,
    )
