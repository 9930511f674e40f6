"""What happens to jobs that do not end well, as frozen facts; see jobd.core.events.

A run that ends well makes no event. Errors are the exception's own line; arguments never appear.
`token` is the claim under which the job ran, as in `job.token`: two lines with the same job and token
are of the same run. Where several jobs ran, `job` is empty and there is no token.
"""

from __future__ import annotations

from typing import ClassVar

from jobd.core.events import Event, Level


class JobFailed(Event, frozen=True, kw_only=True):
    """A run failed or timed out, and the job runs again."""

    event: ClassVar[str] = "job.failed"
    level: ClassVar[Level] = "warning"
    job: str
    token: int
    task: str
    cause: str
    error: str
    retry_in: float


class JobDied(Event, frozen=True, kw_only=True):
    """A job is dead; its record says everything."""

    event: ClassVar[str] = "job.dead"
    level: ClassVar[Level] = "error"
    job: str
    token: int
    task: str
    cause: str
    error: str


class JobDiscarded(Event, frozen=True, kw_only=True):
    """A task has discarded its job: it is dead, and on purpose."""

    event: ClassVar[str] = "job.discarded"
    job: str
    token: int
    task: str
    why: str


class JobSnoozed(Event, frozen=True, kw_only=True):
    """A task has put its job off."""

    event: ClassVar[str] = "job.snoozed"
    level: ClassVar[Level] = "debug"
    job: str
    token: int
    task: str
    why: str
    retry_in: float


class QueueThrottled(Event, frozen=True, kw_only=True):
    """A task has asked the whole queue to wait."""

    event: ClassVar[str] = "queue.throttled"
    level: ClassVar[Level] = "warning"
    job: str
    token: int
    task: str
    why: str
    resumes_in: float


class BackoffUnusable(Event, frozen=True, kw_only=True):
    """A task's back-off function raised or gave no duration. Told once for each task."""

    event: ClassVar[str] = "backoff.unusable"
    level: ClassVar[Level] = "warning"
    job: str
    token: int
    task: str
    why: str


class HookFailed(Event, frozen=True, kw_only=True):
    """A hook of the application raised. Its job goes on as if it had not."""

    event: ClassVar[str] = "hook.failed"
    level: ClassVar[Level] = "warning"
    hook: str
    on: str
    job: str
    token: int | None = None
    error: str


class TaskUnknown(Event, frozen=True, kw_only=True):
    """Jobs of a task this worker does not know are parked. Told once for each name."""

    event: ClassVar[str] = "task.unknown"
    level: ClassVar[Level] = "warning"
    task: str
    hint: str = "its jobs are parked for an hour; deploy the code that declares it"


class ProcessChanged(Event, frozen=True, kw_only=True):
    """A task has changed its process and not put that back; the worker did. Told once for each task
    and thing. `task` is empty where several ran."""

    event: ClassVar[str] = "process.changed"
    level: ClassVar[Level] = "warning"
    task: str
    job: str
    token: int | None = None
    what: tuple[str, ...]


class LeftoversEnded(Event, frozen=True, kw_only=True):
    """Processes that a job had started and left running were killed. Told once for each task."""

    event: ClassVar[str] = "leftovers.ended"
    level: ClassVar[Level] = "warning"
    task: str
    job: str
    token: int | None = None
    processes: int


class WorkerRecycles(Event, frozen=True, kw_only=True):
    """A task has done something to its process that cannot be undone: a fresh one takes over."""

    event: ClassVar[str] = "worker.recycles"
    level: ClassVar[Level] = "warning"
    task: str
    job: str
    token: int | None = None
    reason: str
    why: str
