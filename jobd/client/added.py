"""What became of many jobs: counted, or with a handle for each. Made by jobd.client.queue, filled by many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from jobd.client.adding import handle_of
from jobd.client.chunks import Chunk
from jobd.client.handle import JobHandle
from jobd.client.producer import Producer

# Called after each round trip with what became of the jobs of the call by then.
Progress: TypeAlias = "Callable[[Added], object] | None"


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
