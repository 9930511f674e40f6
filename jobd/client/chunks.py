"""Many jobs, read one by one and cut into what goes in one round trip: a thousand jobs, or 256 KiB.

Invariant: of an iterator no more is held than what was not cut yet; what a bad job raises comes after
those before it. Called by jobd.client.queue, for jobd.client.many.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from jobd.broker.bites import ADD_BYTES
from jobd.broker.new_job import NewJob

CHUNK = 1000

T = TypeVar("T")

# Reads one of the jobs that were given; says, too, whether it is fresh: nothing to be looked up.
Read = Callable[[Any], tuple[NewJob, bool]]


class Chunk(NamedTuple):
    """Jobs of one round trip; `fresh` when all of them are."""

    jobs: list[NewJob]
    fresh: bool


class Cutter:
    """Reads jobs one by one; cuts the row into chunks."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._before = 0
        self._begin()

    def _begin(self) -> None:
        self._jobs: list[NewJob] = []
        self._fresh = True
        self._room = ADD_BYTES

    def take(self, given: object) -> bool:
        """Read one more; True when the chunk is full. Raises what is wrong with it, and says where."""
        try:
            job, is_fresh = self._read(given)
        except Exception as error:
            error.add_note(f"in job {self._before + len(self._jobs)} of add_many, counted from 0")
            raise
        jobs = self._jobs
        jobs.append(job)
        if not is_fresh:
            self._fresh = False
        room = self._room = self._room - len(job.args)
        return room <= 0 or len(jobs) == CHUNK

    def cut(self) -> Chunk:
        """Give what was read since the last cut."""
        chunk = Chunk(self._jobs, self._fresh)
        self._before += len(self._jobs)
        self._begin()
        return chunk


def read_chunks(jobs: Iterable[object], read: Read) -> Iterator[Chunk]:
    """Read jobs, as they are asked for. What a bad one raises, or their iterator, comes after a last
    chunk of those that came before it."""
    cutter = Cutter(read)
    try:
        for given in jobs:
            if cutter.take(given):
                yield cutter.cut()
    except Exception:
        yield cutter.cut()
        raise
    yield cutter.cut()


async def read_chunks_async(jobs: AsyncIterable[object], read: Read) -> AsyncIterator[Chunk]:
    """Read jobs that come one by one, as `read_chunks` does."""
    cutter = Cutter(read)
    try:
        async for given in jobs:
            if cutter.take(given):
                yield cutter.cut()
    except Exception:
        yield cutter.cut()
        raise
    yield cutter.cut()


def check_all(jobs: Sequence[object], read: Read) -> list[Chunk]:
    """Read all jobs before the first is added. Raises what the first bad one raises."""
    return list(read_chunks(jobs, read))


async def one_by_one(jobs: Iterable[T]) -> AsyncIterator[T]:
    """Give a plain iterable's items to an event loop."""
    for job in jobs:
        yield job
