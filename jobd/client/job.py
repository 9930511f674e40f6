"""What a task may know about the job it runs for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Job:
    """The context of a running job: a task's first parameter, when it is annotated `Job`.

    `token` grows with every claim of a queue, also over data loss. Pass it along with writes to
    other systems and let them refuse a lower number than the last: then a worker that was thought
    dead cannot overwrite what its successor wrote (Kleppmann's fencing token).
    """

    id: str
    queue: str
    task: str
    token: int
    attempt: int
    """1 for the first run. Runs that ended in a crash, a loss or a shutdown do not count, nor do
    those that snoozed."""
    max_attempts: int
    enqueued_at: datetime
    deadline: datetime | None
    """When the hard timeout ends the process; None without one."""
    snoozed: int = 0
    """How often the job has asked to run later, with Snooze."""
    group: str | None = None
    """What the call that added it said as `group`."""
    meta: dict[str, Any] = field(default_factory=dict)
    """What the call that added it said as `meta`, as plain JSON values."""
    asks_cancelled: Callable[[], bool] = field(default=_never, repr=False, compare=False)

    @property
    def cancelled(self) -> bool:
        """Whether somebody cancelled this job while it runs. True within a second, and from then on.

        Look now and then, it costs a microsecond; clean up and return or raise. A run that has seen
        it ends as cancelled; one that never looks ends as it would have.
        """
        return self.asks_cancelled()
