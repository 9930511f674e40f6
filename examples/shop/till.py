"""The till: every job the shop's front adds passes here, and its end is asked for here.

Invariant: each job has one line in the ledger when it is added and one in the endings when it has
ended, or when the time is up. Both files are for the account of the demo; an application would keep
the handles it cares for and nothing else.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from jobd import JobHandle, Queue, Task

LEDGER, ENDINGS = "added.ndjson", "endings.ndjson"
New = tuple[str, dict[str, Any], dict[str, Any]]
FINAL = {"completed", "dead", "cancelled"}
_RECORDED = ("task", "args", "state", "cause", "error", "failed", "timeouts", "crashes", "lost")


class Till:
    """Keeps the handles of the jobs that were added and have not been seen to end."""

    def __init__(self, folder: Path) -> None:
        self._lines: dict[str, deque[JobHandle[Any]]] = defaultdict(deque)
        self._ledger = (folder / LEDGER).open("a")
        self._endings = (folder / ENDINGS).open("a")

    def add(self, task: Task[..., Any], args: dict[str, Any], **options: Any) -> None:
        """Add one job of a task, with options of `using()`."""
        since = time.monotonic()
        handle = task.using(**options).enqueue(**args)
        self._book(since, [(handle, (task.name, args, options))])

    def add_many(self, queue: Queue, jobs: Sequence[New]) -> None:
        """Add jobs in bulk: task name, arguments and options of each."""
        since = time.monotonic()
        self._book(since, zip(queue.add_many(jobs), jobs, strict=True))

    def _book(self, since: float, jobs: Iterable[tuple[JobHandle[Any], New]]) -> None:
        for handle, (task, args, options) in jobs:
            if handle.outcome != "enqueued":
                raise RuntimeError(f"job {handle.id}: {handle.outcome}; expected enqueued")
            line = {"id": handle.id, "queue": handle.queue, "task": task, "args": args}
            self._ledger.write(json.dumps(line | {"options": options, "since": since}) + "\n")
            self._lines[task].append(handle)
        self._ledger.flush()

    def in_line(self, task: str) -> int:
        """Count the jobs of a task from the oldest that has not ended on."""
        line = self._lines[task]
        while line and self._note_end(line[0], open_too=False):
            line.popleft()
        return len(line)

    def close(self, until: float) -> None:
        """Wait for the end of every job, but not longer than `until` (monotonic)."""
        while any(self.in_line(task) for task in list(self._lines)) and time.monotonic() < until:
            time.sleep(0.02)
        for line in self._lines.values():
            for handle in line:
                self._note_end(handle, open_too=True)
        self._ledger.close()
        self._endings.close()

    def _note_end(self, handle: JobHandle[Any], *, open_too: bool) -> bool:
        info = handle.info()
        if info is not None and info.state not in FINAL and not open_too:
            return False
        recorded = {name: getattr(info, name) for name in _RECORDED} if info else {"state": None}
        self._endings.write(json.dumps({"id": handle.id} | recorded) + "\n")
        return True
