"""The keeper's tidying on a real server, one bite at a time."""

from __future__ import annotations

import math

import pytest
from support.policies import NOTHING

from jobd.broker.bites import PROMOTE_BITE, TRIM_BITE
from jobd.broker.connection import Client, connect
from jobd.broker.new_job import NewJob
from jobd.broker.store import Store
from jobd.keeper.tidy import (
    BITE_SECONDS,
    LARGEST,
    LONGEST_PAUSE,
    SHARE,
    SMALLEST,
    Tidier,
    next_size,
)


@pytest.fixture
def redis(redis_url: str) -> Client:
    return connect(redis_url)


def tidier(redis: Client, name: str = "k") -> Tidier:
    return Tidier(
        name=name,
        store=lambda queue: Store(redis, "t", queue),
        retention=lambda _: NOTHING,
        clock=lambda: 1000.0,
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
    assert redis.zcard("t:{q}:cancelled") == 2 * TRIM_BITE + 1
    while mine.due < math.inf:
        mine.go_on()
    assert redis.zcard("t:{q}:cancelled") == 0
    assert redis.keys("t:{q}:job:*") == []


def test_after_a_bite_there_is_a_pause_of_many_times_what_it_took(redis: Client) -> None:
    """So the others keep their share of Redis."""
    cancelled(redis, "q", 3 * TRIM_BITE)
    redis.config_resetstat()
    mine = tidier(redis)
    mine.begin(["q"])

    took = redis.info("commandstats")["cmdstat_evalsha"]["usec"] / 1e6
    assert mine.due - 1000 >= min(0.5 * took * (1 / SHARE - 1), LONGEST_PAUSE)
    assert mine.due - 1000 <= LONGEST_PAUSE


@pytest.mark.parametrize(
    ("size", "took", "following"),
    [
        (256, BITE_SECONDS, 256), (256, 10 * BITE_SECONDS, 128), (256, BITE_SECONDS / 10, 321),
        (256, BITE_SECONDS * 1.2, 213), (SMALLEST, 1.0, SMALLEST), (LARGEST, 0.0, LARGEST),
    ],
)  # fmt: skip
def test_a_bite_is_as_large_as_the_last_one_allows(size: int, took: float, following: int) -> None:
    """Where the records are cold, or the machine is slow, fewer at a time."""
    assert next_size(size, took) == following


def test_queues_take_turns_and_hosts_do_not_press_together(redis: Client) -> None:
    """A queue with a million to go keeps none waiting; a second keeper leaves it alone."""
    for queue in ("a", "b"):
        cancelled(redis, queue, 4 * TRIM_BITE)
    one, two = tidier(redis, "one"), tidier(redis, "two")

    one.begin(["a", "b"])
    two.begin(["a", "b"])
    assert two.due == math.inf
    one.begin([])
    for _ in range(2):
        one.go_on()
    for queue in ("a", "b"):
        assert 0 < redis.zcard(f"t:{{{queue}}}:cancelled") < 3 * TRIM_BITE


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
