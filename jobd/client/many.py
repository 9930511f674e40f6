"""Adding many jobs: from a list, with a handle for each, or from an iterator of any length.

Jobs go in chunks of a thousand, or of 256 KiB, one round trip each. While Redis takes one chunk the next is made;
never more than one is under way, so whoever is cut off knows what is in, what may be, and what was
not sent. Of an iterator no more is held than two chunks. Called by `Queue.add_many`, `aadd_many`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias, TypeVar

from jobd.broker.bites import ADD_BYTES
from jobd.broker.new_job import NewJob
from jobd.client.adding import handle_of
from jobd.client.handle import JobHandle
from jobd.client.producer import Producer
from jobd.core.errors import BrokerError, BrokerUnavailable

CHUNK = 1000

A = TypeVar("A", bound="Added")
T = TypeVar("T")

# Called after each round trip with what became of the jobs of the call by then.
Progress: TypeAlias = "Callable[[Added], object] | None"
# Reads one of the jobs that were given; says, too, whether it is fresh: nothing to be looked up.
Read = Callable[[Any], tuple[NewJob, bool]]


class Added:
    """What became of many jobs: so many were `enqueued`, so many of them `replaced` another job, and
    so many were `duplicates`.

    Its length is the number of all.
    """

    enqueued: int = 0
    replaced: int = 0
    duplicates: int = 0

    def __repr__(self) -> str:
        return f"<Added: {self.enqueued} enqueued, {self.duplicates} duplicates>"

    def __len__(self) -> int:
        return self.enqueued + self.duplicates

    def take_in(self, chunk: Chunk, words: Sequence[bytes]) -> None:
        """Count the answers to one chunk, or to its first jobs."""
        _ = chunk
        replaced = words.count(b"replaced")
        enqueued = words.count(b"added") + replaced
        self.replaced += replaced
        self.enqueued += enqueued
        self.duplicates += len(words) - enqueued


class Handles(list[JobHandle[Any]], Added):
    """The same, and a handle for each job, in their order."""

    def __init__(self, producer: Producer, queue: str) -> None:
        super().__init__()
        self._producer = producer
        self._queue = queue

    def take_in(self, chunk: Chunk, words: Sequence[bytes]) -> None:
        """Count the answers to one chunk, and make its handles."""
        super().take_in(chunk, words)
        for job, word in zip(chunk.jobs, words, strict=False):  # some, where the others failed
            self.append(handle_of(self._producer, self._queue, job, word))


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


class Sending:
    """Adds chunks to one queue, at most one of them under way."""

    def __init__(self, producer: Producer, queue: str, added: Added, progress: Progress) -> None:
        self._producer = producer
        self._queue = queue
        self._added = added
        self._progress = progress
        self._chunk: Chunk | None = None
        self._lost = False
        self._words: list[bytes] = []
        self._land: Callable[[], None]
        self._task: asyncio.Task[None]

    def send(self, chunk: Chunk) -> None:
        """Put a chunk on the way. Raises as `Producer.add`."""
        if chunk.jobs:
            self._words = []
            with self._in_touch(chunk):
                self._land = self._producer.begin_add(
                    self._queue, chunk.jobs, self._words, fresh=chunk.fresh
                )
            self._chunk = chunk

    def land(self) -> None:
        """Take in the answers to what is under way, if anything is. Raises as `Producer.add`."""
        if chunk := self._take_chunk():
            with self._in_touch(chunk):
                self._land()
            self._count(chunk)

    async def send_async(self, chunk: Chunk) -> None:
        """Put a chunk on the way, and let the event loop send it."""
        if chunk.jobs:
            self._words = []
            adding = self._producer.add_many_async(
                self._queue, chunk.jobs, self._words, fresh=chunk.fresh
            )
            self._task = asyncio.ensure_future(adding)
            self._chunk = chunk
            await asyncio.sleep(0)

    async def land_async(self) -> None:
        """Take in the answers to what is under way, if anything is. Raises as `Producer.add`."""
        if chunk := self._take_chunk():
            with self._in_touch(chunk):
                await self._task
            self._count(chunk)

    def say_how_far(self, error: Exception) -> None:
        """Note on what ended the row how many are in; Redis' own errors say it themselves."""
        if not self._lost:
            error.add_note(f"add_many: the first {len(self._added)} jobs are in, none after them")

    def _take_chunk(self) -> Chunk | None:
        chunk, self._chunk = self._chunk, None
        return chunk

    def _count(self, chunk: Chunk) -> None:
        self._added.take_in(chunk, self._words)
        if self._progress is not None:
            self._progress(self._added)

    @contextmanager
    def _in_touch(self, chunk: Chunk) -> Iterator[None]:
        try:
            yield
        except BrokerError as error:
            self._lost = True
            if self._words:  # calls of the same round trip that were answered before
                self._count(chunk)
            error.added = len(self._added)
            error.add_note(_how_far(error))
            raise


def _how_far(error: BrokerError) -> str:
    known = isinstance(error, BrokerUnavailable) and not error.outcome_unknown
    return (
        f"add_many: the first {error.added} jobs are in; the {len(error.job_ids)} after them "
        f"{'are not' if known else 'may be'}, and none after those"
    )


def add_chunks(
    producer: Producer, queue: str, chunks: Iterable[Chunk], added: A, progress: Progress
) -> A:
    """Add chunk by chunk. Raises what `Producer.add` raises, and what the chunks raise, when
    those that came before are in."""
    sending = Sending(producer, queue, added, progress)
    try:
        for chunk in chunks:  # made while the one before is under way
            sending.land()
            sending.send(chunk)
    except Exception as error:
        sending.land()
        sending.say_how_far(error)
        raise
    sending.land()
    return added


async def add_chunks_async(
    producer: Producer, queue: str, chunks: AsyncIterator[Chunk], added: A, progress: Progress
) -> A:
    """The same without blocking the event loop, save for as long as a chunk takes to make."""
    sending = Sending(producer, queue, added, progress)
    try:
        async for chunk in chunks:
            await sending.land_async()
            await sending.send_async(chunk)
    except Exception as error:
        await sending.land_async()
        sending.say_how_far(error)
        raise
    await sending.land_async()
    return added


async def one_by_one(jobs: Iterable[T]) -> AsyncIterator[T]:
    """Give a plain iterable's items to an event loop."""
    for job in jobs:
        yield job
