"""A task as a worker sees it: everything that can be decided once is decided here."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from jobd.client.job import Job, Notes
from jobd.client.task import Task
from jobd.core.options import NOTHING_SAID, Policy, RunOptions, resolve


class Runnable:
    """One task, prepared. `policy` is what holds for a call that says nothing."""

    def __init__(self, task: Task[Any, Any], levels: tuple[RunOptions | None, ...]) -> None:
        self.name = task.name
        self.raw_name = task.name.encode()
        self.function: Callable[..., Any] = task.function
        self.is_async = task.is_async
        self.decode = task.signature.decode
        self.wants_job = task.signature.wants_job
        self._levels = (*levels, task.options)
        self.policy = resolve(*self._levels)

    def policy_for(self, said: RunOptions) -> Policy:
        """Give the policy for what a call said."""
        return self.policy if said is NOTHING_SAID else resolve(*self._levels, said)


def context(
    *,
    job_id: str,
    queue: str,
    task: str,
    token: int,
    attempt: int,
    snoozed: int,
    policy: Policy,
    enqueued_at: datetime,
    deadline: datetime | None,
    labels: tuple[str | None, dict[str, Any]],
    asks_cancelled: Callable[[], bool],
    notes: Notes,
) -> Job:
    """Make the context for a task that asked for it."""
    return Job(
        id=job_id,
        queue=queue,
        task=task,
        token=token,
        attempt=attempt,
        max_attempts=policy.attempts,
        snoozed=snoozed,
        enqueued_at=enqueued_at,
        deadline=deadline,
        group=labels[0],
        meta=labels[1],
        asks_cancelled=asks_cancelled,
        notes=notes,
    )
