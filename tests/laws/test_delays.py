"""The law of delays: never early by Redis' clock, in the order in which they came due, none forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from jobd.broker.connection import Client, connect
from jobd.broker.new_job import NewJob
from jobd.broker.store import Store, store_ms

LEASE = 60_000
NOW = 1_800_000_000_000
FAST = ["t", 1]


@pytest.fixture
def redis(redis_url: str) -> Iterator[Client]:
    client = connect(redis_url)
    yield client
    client.close()


def test_ten_thousand_random_delays_by_a_clock_that_goes_in_steps(redis: Client) -> None:
    """At each step all that is due can be claimed and nothing else, in the order of due times."""
    random = Random(7)
    due = {f"j{i:05}": NOW + random.randrange(1, 60_000) for i in range(10_000)}
    ids = list(due)
    for first in range(0, len(ids), 1000):
        chunk = ids[first : first + 1000]
        Store(redis, "t", "q", now=NOW).add(
            [NewJob(i, "t", b"{}", due=f"+{due[i] - NOW}") for i in chunk]
        )
    now, claimed = NOW, list[str]()
    while len(claimed) < len(due):
        now += random.choice([1, 7, 300, 2500])
        store = Store(redis, "t", "q", now=now)
        store.join("w.1", LEASE)
        while claim := store.claim("w.1", LEASE, budget_us=10**9, costs=FAST).jobs:
            claimed += [job.id.decode() for job in claim]
            assert {int(job.more[b"due"]) for job in claim} == {
                due[job.id.decode()] for job in claim
            }
        expected = {i for i, at in due.items() if at <= now}
        assert set(claimed) == expected
    assert claimed == sorted(due, key=lambda i: (due[i], i))


def test_no_job_is_claimed_before_its_time_by_the_clock_of_redis(redis: Client) -> None:
    """Two workers that ask again and again, while others' delays run out."""
    random, store = Random(8), Store(redis, "t", "q")
    store.add([NewJob(f"j{i}", "t", b"{}", due=f"+{random.randrange(1200)}") for i in range(1000)])
    for worker in ("w.1", "w.2"):
        store.join(worker, LEASE)
    left = 1000
    while left:
        for worker in ("w.1", "w.2"):
            claim = store.claim(worker, LEASE, slots=3, budget_us=100, costs=FAST)
            now = store_ms(redis)
            for job in claim.jobs:
                due = int(job.more.get(b"due", job.at))
                assert job.at <= due <= claim.now <= now
            left -= len(claim.jobs)
    assert redis.zcard("t:{q}:delayed") == 0


def test_priority_counts_among_those_that_are_due(redis: Client) -> None:
    """And before their time it counts nothing."""
    store = Store(redis, "t", "q", now=NOW)
    jobs = [NewJob(f"j{i}", "t", b"{}", 5 - i % 2, f"+{100 + i}") for i in range(100)]
    store.add([*jobs, NewJob("urgent", "t", b"{}", 0, "+5000")])
    later = Store(redis, "t", "q", now=NOW + 200)
    later.join("w.1", LEASE)

    claimed = [j.id.decode() for j in later.claim("w.1", LEASE, budget_us=10**9, costs=FAST).jobs]
    assert claimed == [f"j{i}" for i in (*range(1, 100, 2), *range(0, 100, 2))]
