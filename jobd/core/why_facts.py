"""What is known of a job and its queue when somebody asks why it has not run (`core.why`)."""

from __future__ import annotations

from typing import Any

import msgspec


class JobFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One job, as recorded. Times are ms since 1970; see `JobInfo`."""

    id: str
    queue: str
    task: str
    state: str
    options: dict[str, Any] = {}
    enqueued_at: int | None = None
    due_at: int | None = None
    finished_at: int | None = None
    failed: int = 0
    timeouts: int = 0
    crashes: int = 0
    lost: int = 0
    interrupted: int = 0
    snoozed: int = 0
    throttled: int = 0
    cause: str | None = None
    error: str | None = None
    history: list[dict[str, Any]] = []
    worker: str | None = None
    parked_since: int | None = None
    cancel_asked_at: int | None = None
    expires_at: int | None = None


class Busy(msgspec.Struct, frozen=True, kw_only=True):
    """A job in a worker's hands. `since` is about when it was claimed."""

    worker: str
    job: str
    task: str
    since: int | None = None
    claim: int | None = None


class QueueFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A queue at one instant. Times are ms since 1970 by Redis' clock.

    `ahead` counts what stands before the job in line. `leases` are the workers, and until when each
    is known to live; each has `slots`, and `idle` of them have one free. `pace` is settled jobs a second, lately.
    """

    now: int
    waiting: int = 0
    ahead: int | None = None
    leases: dict[str, int] = {}
    slots: int = 1
    idle: int = 0
    active: int = 0
    busy: list[Busy] = []
    pace: float | None = None
    paused_since: int | None = None
    paused_why: str | None = None
    task_paused: bool = False
    task_resuming: bool = False
    held_until: int | None = None
    held_by: str | None = None
    max_active: int | None = None
    rate: tuple[int, int] | None = None
    """A rate limit: so many starts, in so many ms."""
    rate_opens_at: int | None = None
