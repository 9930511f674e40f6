"""What a worker tells of its jobs: a line for each that does not end well, none for one that does.

Bounded: texts are cut, and what would come again with each job is told once for each name.
"""

from __future__ import annotations

from collections.abc import Callable

from jobd.broker.commands import Claimed
from jobd.core.events import Event
from jobd.core.job_events import (
    BackoffUnusable,
    JobDied,
    JobDiscarded,
    JobFailed,
    JobSnoozed,
    QueueThrottled,
    TaskUnknown,
)
from jobd.core.verdict import Postpone

# Of an error's text in a log line, and of names that are told once each.
MAX_LOGGED = 200
MAX_UNKNOWN = 1000


class Teller:
    """Words what became of a job, for one worker."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._unknown: set[str] = set()
        self._unusable: set[bytes] = set()

    def dead(self, job: Claimed, cause: str, error: str) -> None:
        """Tell of a death; one that the task asked for is no error."""
        job_id, task, line = text(job.id), text(job.task), error[:MAX_LOGGED]
        if cause == "discarded":
            self._emit(JobDiscarded(job=job_id, token=job.claim, task=task, why=line))
        else:
            self._emit(JobDied(job=job_id, token=job.claim, task=task, cause=cause, error=line))

    def failed(self, job: Claimed, cause: str, error: str, delay: float, note: str) -> None:
        """Tell of a failed run that is tried again; `note`: of its back-off function, or ''."""
        job_id, task, line = text(job.id), text(job.task), error[:MAX_LOGGED]
        self._emit(
            JobFailed(
                job=job_id, token=job.claim, task=task, cause=cause, error=line, retry_in=delay
            )
        )
        if note and job.task not in self._unusable:
            self._unusable.add(job.task)
            self._emit(BackoffUnusable(job=job_id, token=job.claim, task=task, why=note))

    def put_off(self, job: Claimed, why: str, verdict: Postpone) -> None:
        """Tell of a job that its task has put off, with all its queue or alone."""
        job_id, task, line = text(job.id), text(job.task), why[:MAX_LOGGED]
        if verdict.whole_queue:
            self._emit(
                QueueThrottled(
                    job=job_id, token=job.claim, task=task, why=line, resumes_in=verdict.delay
                )
            )
        else:
            self._emit(
                JobSnoozed(job=job_id, token=job.claim, task=task, why=line, retry_in=verdict.delay)
            )

    def unknown(self, name: str) -> None:
        """Tell of a task that this worker does not know."""
        if name not in self._unknown and len(self._unknown) < MAX_UNKNOWN:
            self._unknown.add(name)
            self._emit(TaskUnknown(task=name))


def text(raw: bytes) -> str:
    """Read an id or a name, whatever stands there."""
    return raw.decode("utf-8", "replace")
