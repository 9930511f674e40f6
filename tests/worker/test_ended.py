"""What has ended is settled in bites: of so many bytes, so many jobs, and always from the front."""

from __future__ import annotations

import random
from itertools import count

import pytest

from jobd.broker.bites import DONE_BITE, ENDINGS_BITE, SETTLE_BYTES
from jobd.broker.commands import Completed, Ending
from jobd.worker.ended import LIGHT, MOST_BYTES, Bite, Ended

FIGURES = "noop|0|0|0"
NUMBERS = count()


def complete(ended: Ended, size: int = 0) -> bytes:
    job_id = b"%d" % next(NUMBERS)
    if size > LIGHT:
        ended.weigh(size)
    ended.done.append(Completed(job_id, 1, FIGURES, b"x" * size))
    return job_id


def fail(ended: Ended, size: int = 0) -> bytes:
    job_id = b"%d" % next(NUMBERS)
    ended.end(Ending("dead", job_id, 1, FIGURES, 0, "failed", {"error": "x" * size}))
    return job_id


def ids(bites: list[Bite]) -> set[bytes]:
    return {job.id for done, endings, _ in bites for job in (*done, *endings)}


def size_of(bites: list[Bite]) -> int:
    return sum(len(job.result) for bite in bites for job in bite.done) + sum(
        len(str(job.fields["error"])) for bite in bites for job in bite.endings
    )


@pytest.mark.parametrize(
    ("done", "endings", "calls"),
    [
        (1, 0, 1), (0, 1, 1), (DONE_BITE, ENDINGS_BITE, 1), (DONE_BITE + 1, 0, 2),
        (3, ENDINGS_BITE + 1, 2), (0, 250, 3),
    ],
)  # fmt: skip
def test_no_call_settles_more_jobs_than_a_bite(done: int, endings: int, calls: int) -> None:
    """They go together all the same, and nothing is left."""
    ended = Ended()
    made = {complete(ended) for _ in range(done)} | {fail(ended) for _ in range(endings)}
    bites = ended.take()

    assert (len(bites), ids(bites), ended.take()) == (calls, made, [])
    assert max(len(bite.done) for bite in bites) <= DONE_BITE
    assert max(len(bite.endings) for bite in bites) <= ENDINGS_BITE


def test_no_more_bytes_go_at_once_than_a_slow_link_carries() -> None:
    """One job's may be more than that, and goes alone."""
    ended = Ended()
    sizes = [100_000] * 25 + [2 * SETTLE_BYTES] + [100_000] * 5 + [10] * 600
    for at, size in enumerate(sizes):
        fail(ended, size) if at % 3 == 0 else complete(ended, size)
    taken, gone = [], set()
    while bites := ended.take():
        assert size_of(bites) <= SETTLE_BYTES or len(ids(bites)) == 1
        taken.append(len(ids(bites)))
        gone |= ids(bites)
        ended.settled(bites)

    assert (len(gone), taken[:5]) == (len(sizes), [10, 10, 5, 1, 605])
    assert not ended.is_full


def test_notes_that_go_with_a_job_count_as_it_does() -> None:
    """They have to be there before it is settled."""
    ended = Ended()
    for _ in range(20):
        complete(ended)
    bites = ended.take(20 * 131_072, lambda _id, _claim: 131_072)
    assert len(ids(bites)) == 7


def test_who_ended_first_is_settled_first() -> None:
    """Of each lane: a job that is settled has nothing behind it that its lane had ended before."""
    ended, draw = Ended(), random.Random(7)
    order: list[bytes] = []
    settled: set[bytes] = set()
    while len(settled) < 3000:
        order += [
            (complete if draw.random() < 0.6 else fail)(ended, draw.choice([0, 90_000]))
            for _ in range(draw.randrange(40))
        ]
        bites = ended.take()
        if draw.random() < 0.3:
            ended.put_back(bites)  # no answer
            continue
        ended.settled(bites)
        settled |= ids(bites)
        assert settled == set(order[: len(settled)])


def test_too_much_unsettled_is_said_until_it_is_settled() -> None:
    """On its way it still counts; what comes back counts; small results never do."""
    ended = Ended()
    for _ in range(5000):
        complete(ended, LIGHT)
    assert not ended.is_full
    while bites := ended.take():
        ended.settled(bites)
    for _ in range(MOST_BYTES // 100_000 + 1):
        complete(ended, 100_000)
    assert ended.is_full
    bites = ended.take()
    assert ended.is_full
    ended.put_back(bites)
    assert ended.is_full
    ended.settled(ended.take())
    assert not ended.is_full
    ended.settled(ended.take())
    ended.clear()
    assert not ended.is_full
    assert ended.take() == []
