"""One long operation on many jobs: what is shown of it, and what it tells of itself while it is carried out.

Used by `operations`, which starts and stops them, and by whoever says what one does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from jobd.seams.clock import wall_ms
from jobd.web.api.problems import Problem


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """How far it is. `looked` of about `total` jobs were looked at; `counts` says what became of those
    that were meant, by the word of each. `problem` is why it failed. Times are ms since 1970.

    `host` is where it is carried out. One is `lost` when nothing was heard of it for ten seconds: its
    process is gone, or hangs. It shows what was done until `ended_at`, when it was heard last; begin
    another to do the rest. `which` is the filter, by the names that it was asked for with, cut where it is
    very long; of ids only how many there were. `as_of`: what was added, or has ended, after that (ms by Redis'
    clock) is left alone; None for ids.
    """

    id: str
    verb: str
    queue: str | None
    which: dict[str, str] = {}
    dry_run: bool
    by: str
    state: Literal["running", "stopping", "done", "stopped", "failed", "lost"]
    started_at: int
    ended_at: int | None = None
    looked: int = 0
    total: int = 0
    counts: dict[str, int] = {}
    problem: Problem | None = None
    host: str = ""
    as_of: int | None = None


class Progress:
    """What the work tells of itself; it asks `is_stopped` between bites. For one operation."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._counts: dict[str, int] = {}
        self._looked = 0
        self._total = 0

    def is_stopped(self) -> bool:
        """Whether somebody wants it to end."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Let it end after the bite that is under way."""
        self._stop.set()

    def tell(self, looked: int, total: int, counts: Mapping[str, int]) -> None:
        """Say how far it is: looked at so many of about `total`, and what became of those that were meant."""
        with self._lock:
            self._looked, self._total, self._counts = looked, total, dict(counts)

    def on(self, operation: Operation) -> Operation:
        """Give the operation with these figures in it."""
        with self._lock:
            return msgspec.structs.replace(
                operation, looked=self._looked, total=self._total, counts=self._counts
            )


Work = Callable[[Progress], bool]
"""What is done; gives whether it went through all of it, or was stopped before."""


class Run:
    """One operation that is carried out here. Nothing begins before `begun`, and nothing if it is not
    `is_wanted` then."""

    def __init__(self, operation: Operation) -> None:
        self.progress = Progress()
        self.begun = threading.Event()
        self.is_wanted = False
        self.ended = threading.Event()
        self._operation = operation
        self._last: Operation | None = None

    @property
    def shown(self) -> Operation:
        """How far it is."""
        if self._last is not None:
            return self._last
        state = "stopping" if self.progress.is_stopped() else "running"
        return msgspec.structs.replace(self.progress.on(self._operation), state=state)

    def outcome(self, state: str, problem: Problem | None) -> Operation:
        """Make how it has ended, to be told of; then `end` it."""
        return msgspec.structs.replace(
            self.progress.on(self._operation), state=state, problem=problem, ended_at=wall_ms()
        )

    def end(self, outcome: Operation) -> None:
        """Show it as ended from now on."""
        self._last = outcome
        self.ended.set()
