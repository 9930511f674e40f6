"""Long operations on many jobs: each is a resource that tells how far it is, and can be stopped.

They live in the process that serves: one that ends takes them along, and what was done until then is done,
for every bite is whole. Invariant: of these there are never more than MOST_RUNNING under way and KEPT
remembered, and each ends with a word for how: done, stopped or failed, which is told as an event.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from jobd.core.ids import uuid7
from jobd.core.web_events import WebFailed, WebOperationEnded
from jobd.seams.clock import wall_ms
from jobd.seams.log import Emit
from jobd.web.api.problems import Busy, NotThere, Problem, is_ours, problem_of

MOST_RUNNING = 4
KEPT = 100


class NoSuchOperation(NotThere):
    """It is not remembered here."""

    code = "jobd.no_such_operation"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """How far it is. `looked` of about `total` jobs were looked at; `counts` says what became of those
    that were meant, by the word of each. `problem` is why it failed. Times are ms since 1970."""

    id: str
    verb: str
    queue: str | None
    dry_run: bool
    by: str
    state: Literal["running", "stopping", "done", "stopped", "failed"]
    started_at: int
    ended_at: int | None = None
    looked: int = 0
    total: int = 0
    counts: dict[str, int] = {}
    problem: Problem | None = None


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


class Operations:
    """Starts, shows and stops. Used from several threads."""

    def __init__(self, *, emit: Emit) -> None:
        self._emit = emit
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Operation, Progress]] = {}

    def start(
        self, work: Work, *, verb: str, queue: str | None, by: str, dry_run: bool = False
    ) -> Operation:
        """Begin in a thread; give what it is. Raises Busy."""
        operation = Operation(
            id=uuid7(wall_ms(), int.from_bytes(os.urandom(10))),
            verb=verb, queue=queue, by=by, dry_run=dry_run, state="running", started_at=wall_ms(),
        )  # fmt: skip
        progress = Progress()
        with self._lock:
            running = [each for each, _ in self._known.values() if each.ended_at is None]
            if len(running) >= MOST_RUNNING:
                raise Busy(
                    f"operations: {len(running)} are under way; expected at most {MOST_RUNNING}; "
                    "wait for one of them, or stop it; see /api/v1/operations"
                )
            self._known[operation.id] = operation, progress
            self._forget()
        thread = threading.Thread(
            target=self._run, args=(operation, progress, work), name="operation", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as none_to_have:
            with self._lock:
                del self._known[operation.id]
            raise Busy("operations: no thread is to be had here; try again later") from none_to_have
        return operation

    def all(self) -> list[Operation]:
        """Show all that are remembered, the newest first."""
        with self._lock:
            known = list(self._known.values())
        return [_shown(*each) for each in reversed(known)]

    def get(self, operation: str) -> Operation:
        """Show one. Raises NoSuchOperation."""
        return _shown(*self._find(operation))

    def stop(self, operation: str) -> Operation:
        """Let one end after the bite that is under way; give how far it is. Raises NoSuchOperation."""
        found, progress = self._find(operation)
        progress.stop()
        return _shown(found, progress)

    def _find(self, operation: str) -> tuple[Operation, Progress]:
        with self._lock:
            found = self._known.get(operation)
        if found is None:
            raise NoSuchOperation(
                f"operation {operation!r}: not known here; expected one of the last {KEPT} of this web "
                "process; what it did until it ended is done: look at the jobs"
            )
        return found

    def _run(self, operation: Operation, progress: Progress, work: Work) -> None:
        state, problem = "failed", None
        try:
            state = "done" if work(progress) else "stopped"
        except Exception as error:  # noqa: BLE001 - told in the operation, and as an event if it is a mistake
            if not is_ours(error):
                self._emit(WebFailed(path=f"operation {operation.verb}", why=repr(error)))
            problem = problem_of(error)
        ended = msgspec.structs.replace(
            progress.on(operation), state=state, problem=problem, ended_at=wall_ms()
        )
        self._emit(_ending(ended))
        with self._lock:
            self._known[operation.id] = ended, progress

    def _forget(self) -> None:
        ended = [name for name, (each, _) in self._known.items() if each.ended_at is not None]
        for name in ended[: max(0, len(self._known) - KEPT)]:
            del self._known[name]


def _ending(it: Operation) -> WebOperationEnded:
    return WebOperationEnded(
        who=it.by, operation=it.id, what=it.verb, queue=it.queue, outcome=it.state, dry_run=it.dry_run,
        counts=it.counts, why=None if it.problem is None else it.problem.detail,
    )  # fmt: skip


def _shown(operation: Operation, progress: Progress) -> Operation:
    if operation.ended_at is not None:
        return operation
    state = "stopping" if progress.is_stopped() else "running"
    return msgspec.structs.replace(progress.on(operation), state=state)
