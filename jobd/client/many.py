"""Adding many jobs, chunk by chunk, one round trip each.

While Redis takes one chunk the next is made; never more than one is under way, so whoever is cut off
knows what is in, what may be, and what was not sent. Of an iterator no more is held than two chunks.
Called by `Queue.add_many`, `aadd_many`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from jobd.client.added import Added, Progress
from jobd.client.chunks import Chunk
from jobd.client.producer import Producer
from jobd.core.errors import BrokerError, BrokerUnavailable

A = TypeVar("A", bound=Added)


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
