"""Whose code is it that runs here: which lane, and so which job.

A lane's mark stands in the context its jobs run in, set once for each lane and not once a job: whatever
a job calls, awaits or gives to `asyncio.to_thread` inherits it. A thread that a task starts by itself
does not; it is taken for the job's when that is the only one here. Asked by jobd.worker.output.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Protocol

from jobd.broker.commands import Claimed


class Busy(Protocol):
    """A lane, as far as it matters here."""

    running: Claimed | None


LANE: ContextVar[Busy] = ContextVar("jobd.lane")


class Whose:
    """Tells who asks."""

    def __init__(self, lanes: Sequence[Busy] = ()) -> None:
        self.lanes = lanes

    def __call__(self) -> tuple[object, Claimed | None]:
        """Name what runs one thing at a time, a lane or a thread, and its job where that is known."""
        lane = LANE.get(None)
        if lane is not None:
            return lane, lane.running
        return threading.get_ident(), self.only()

    def only(self) -> Claimed | None:
        """Give the job that runs here, when it is one."""
        running = [job for lane in self.lanes if (job := lane.running) is not None]
        return running[0] if len(running) == 1 else None

    def idle(self) -> bool:
        """Whether no job runs."""
        return all(lane.running is None for lane in self.lanes)
