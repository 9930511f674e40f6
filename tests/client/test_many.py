"""Adding many jobs from a list and from iterators, on a real server."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from typing import Any

import pytest
from support.links import BadLink

from jobd import Jobd
from jobd.broker.bites import ADD_BITE, ADD_BYTES
from jobd.broker.connection import Client, connect
from jobd.client.added import Added, Handles
from jobd.client.queue import Addition
from jobd.core.errors import BrokerUnavailable, NotSerializable, OptionError, StoreFull


@pytest.fixture
def redis(redis_url: str) -> Iterator[Client]:
    client = connect(redis_url)
    yield client
    client.config_set("maxmemory", "0")
    client.close()


@pytest.fixture
def app(redis_url: str) -> Jobd:
    return Jobd(redis_url)


def numbered(n: int) -> Iterator[Addition]:
    for i in range(n):
        yield ("t", {"i": i})


async def arriving(n: int) -> AsyncIterator[Addition]:
    for i in range(n):
        yield ("t", {"i": i})


def in_line(app: Jobd) -> list[Any]:
    """The argument of each waiting job, in order."""
    views = app.producer.views()
    found = [views.info("q", job) for job in views.jobs("q", "waiting", 10_000)]
    return [info.args["i"] for info in found if info is not None]


def test_an_iterator_is_added_in_order_and_counted(app: Jobd) -> None:
    """More than one round trip's worth; no handle is kept."""
    told: list[int] = []
    added = app.queue("q").add_many(numbered(2500), progress=lambda added: told.append(len(added)))

    assert (type(added), added.enqueued, added.duplicates, len(added)) == (Added, 2500, 0, 2500)
    assert told == [1000, 2000, 2500]
    assert in_line(app) == list(range(2500))


def test_a_list_gives_handles_and_the_same_counts(app: Jobd) -> None:
    """In the order given; what was there before is a duplicate."""
    jobs = [("t", {"i": i}, {"job_id": f"j{i % 3}"}) for i in range(5)]
    added = app.queue("q").add_many(jobs)

    assert isinstance(added, Handles)
    assert [handle.outcome for handle in added] == ["enqueued"] * 3 + ["duplicate"] * 2
    assert [handle.id for handle in added] == ["j0", "j1", "j2", "j0", "j1"]
    assert (added.enqueued, added.duplicates, len(added)) == (3, 2, 5)


@pytest.mark.parametrize("n", [0, 1, 999, 1000, 1001])
def test_any_number_is_a_number(app: Jobd, n: int) -> None:
    """Also none, and a whole chunk."""
    queue = app.queue("q")
    assert len(queue.add_many(numbered(n))) == n
    assert len(queue.add_many(list(numbered(n)))) == n
    assert app.producer.views().counts("q")["waiting"] == 2 * n


def test_jobs_are_made_while_those_before_are_under_way(app: Jobd, redis: Client) -> None:
    """Redis has taken the first chunk before the third is asked for, and no more than two are held."""
    seen: list[int] = []

    def watched() -> Iterator[Addition]:
        for i, job in enumerate(numbered(3000)):
            if i % 1000 == 999:
                seen.append(redis.zcard("jobd:{q}:waiting"))
            yield job

    app.queue("q").add_many(watched())
    assert seen[0] == 0
    assert seen[2] in (1000, 1250, 1500, 1750, 2000)


def test_a_round_trip_is_made_of_short_calls(app: Jobd, redis: Client) -> None:
    """A thousand delayed jobs in one call would hold Redis for ten milliseconds."""
    queue = app.queue("q")
    queue.add("t", {})
    redis.config_resetstat()

    queue.add_many([("t", {}, {"delay": "1h"}) for _ in range(1000)])
    assert redis.info("commandstats")["cmdstat_evalsha"]["calls"] == 1000 // ADD_BITE
    assert redis.zcard("jobd:{q}:delayed") == 1000


def test_a_bad_job_of_an_iterator_is_named_and_those_before_it_are_in(app: Jobd) -> None:
    """None after it: the caller can go on from there."""

    def jobs() -> Iterator[Addition]:
        yield from numbered(1200)
        yield ("t", {"i": 1200}, {"prioritty": 1})
        yield from numbered(5)

    with pytest.raises(OptionError, match="did you mean 'priority'") as bad:
        app.queue("q").add_many(jobs())
    assert bad.value.__notes__ == [
        "in job 1200 of add_many, counted from 0",
        "add_many: the first 1200 jobs are in, none after them",
    ]
    assert in_line(app) == list(range(1200))


def test_an_iterator_that_fails_leaves_in_what_it_gave(app: Jobd) -> None:
    """Its own error comes through."""

    def jobs() -> Iterator[Addition]:
        yield from numbered(7)
        raise LookupError("no more rows")

    with pytest.raises(LookupError, match="no more rows") as failed:
        app.queue("q").add_many(jobs())
    assert failed.value.__notes__ == ["add_many: the first 7 jobs are in, none after them"]
    assert in_line(app) == list(range(7))


def test_a_bad_job_of_a_list_is_named_and_nothing_is_added(app: Jobd) -> None:
    """All of a list are checked before the first is added."""
    with pytest.raises(NotSerializable) as bad:
        app.queue("q").add_many([*numbered(1500), ("t", {"i": object()})])
    assert bad.value.__notes__ == ["in job 1500 of add_many, counted from 0"]
    assert in_line(app) == []


def test_a_full_store_says_what_is_in_and_how_to_go_on(app: Jobd, redis: Client) -> None:
    """The jobs of the refused round trip can be added again by their ids, and nothing twice."""

    def jobs() -> Iterator[Addition]:
        for i, job in enumerate(numbered(5000)):
            if i == 2500:
                redis.config_set("maxmemory", "1")
            yield job

    queue = app.queue("q")
    with pytest.raises(StoreFull) as full:
        queue.add_many(jobs())
    redis.config_set("maxmemory", "0")
    first = full.value.added
    assert first in range(1000, 2001, ADD_BITE)
    assert (first + len(full.value.job_ids)) % 1000 == 0

    again = [
        ("t", {"i": first + at}, {"job_id": job_id}) for at, job_id in enumerate(full.value.job_ids)
    ]
    queue.add_many(again)
    assert sorted(in_line(app)) == list(range(first + len(full.value.job_ids)))


def test_a_round_trip_carries_no_more_than_a_slow_link_can(app: Jobd, redis: Client) -> None:
    """Large jobs are cut by their bytes, from a list, an iterator, and on an event loop."""
    queue, size = app.queue("q"), 60_000
    jobs = [("t", {"x": "y" * size})] * 30
    told: list[int] = []

    def tell(added: Added) -> None:
        told.append(len(added))

    queue.add_many(jobs, progress=tell)
    queue.add_many(iter(jobs), progress=tell)

    async def main() -> None:
        await queue.aadd_many(jobs, progress=tell)
        await app.producer.async_client.aclose()

    asyncio.run(main())
    steps = [now - before if now > before else now for before, now in pairwise([0, *told])]
    assert sum(steps) == 90
    assert {step * size < ADD_BYTES + 2 * size for step in steps} == {True}
    assert redis.zcard("jobd:{q}:waiting") == 90
    assert redis.info("commandstats")["cmdstat_evalsha"]["calls"] >= len(steps)


@pytest.mark.parametrize("on_a_loop", [False, True])
def test_what_was_answered_before_a_link_broke_is_in_and_a_repeat_gets_further(
    redis_url: str, redis: Client, on_a_loop: bool
) -> None:
    """Each link breaks after the answers to two calls of four: all are in after three attempts."""
    jobs: list[Addition] = [("t", {"i": i}, {"job_id": f"j{i}"}) for i in range(1000)]
    answer = len(b"*250\r\n") + ADD_BITE * len(b"$5\r\nadded\r\n")
    Jobd(redis_url).queue("q").add("t", {"i": -1})
    added: list[int] = []
    broken: list[BrokerUnavailable] = []
    with BadLink(redis_url.partition("?")[0]) as link:
        app = Jobd(link.url)
        queue = app.queue("q")
        queue.add_many([("t", {"i": -2})])

        async def add(some: list[Addition]) -> None:
            try:
                await queue.aadd_many(some)
            finally:
                await app.producer.async_client.aclose()

        while jobs:
            link.reset()
            link.answer_only(2 * answer + 1000)
            try:
                asyncio.run(add(jobs)) if on_a_loop else queue.add_many(jobs)
            except BrokerUnavailable as error:
                broken.append(error)
                added.append(error.added)
                jobs = jobs[error.added :]
            else:
                added.append(len(jobs))
                jobs = []
    for n, error in enumerate(broken, 1):
        assert error.job_ids == tuple(f"j{i}" for i in range(sum(added[:n]), 1000))
        assert f"the first {added[n - 1]} jobs are in" in error.__notes__[-1]
    assert sum(added) == 1000
    assert 0 not in added
    assert redis.zcard("jobd:{q}:waiting") == 1002


@pytest.mark.parametrize("options", [None, 5, ["priority"]])
def test_options_that_are_no_dict_are_named(app: Jobd, options: Any) -> None:
    """By an error of ours."""
    with pytest.raises(OptionError, match=r"options of task 't': .*; expected a dict, as in"):
        app.queue("q").add_many([("t", {}, options)])


def test_many_are_added_from_an_event_loop(app: Jobd) -> None:
    """From a list, an iterator, an asynchronous iterator; the loop goes on meanwhile."""
    queue = app.queue("q")

    async def main() -> None:
        beats = 0

        async def beat() -> None:
            nonlocal beats
            while True:
                beats += 1
                await asyncio.sleep(0)

        beating = asyncio.create_task(beat())
        told: list[int] = []
        handles = await queue.aadd_many([("t", {"i": 0}, {"job_id": "a"})])
        assert [handle.id for handle in handles] == ["a"]
        assert (
            len(
                await queue.aadd_many(
                    numbered(1500), progress=lambda added: told.append(len(added))
                )
            )
            == 1500
        )
        assert len(await queue.aadd_many(arriving(1500))) == 1500
        assert told == [1000, 1500]
        assert beats > 6
        beating.cancel()
        with pytest.raises(OptionError) as bad:
            await queue.aadd_many(iter([("t", {}), ("t", {}, {"what": 1})]))
        assert "the first 1 jobs are in" in bad.value.__notes__[-1]
        await app.producer.async_client.aclose()

    asyncio.run(main())


def test_memory_stays_as_it_is_however_many_there_are(app: Jobd) -> None:
    """A list of the handles alone would be three times as large."""
    queue = app.queue("q")
    queue.add_many(numbered(2000))
    tracemalloc.start()
    try:
        queue.add_many(numbered(60_000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000
