"""What a schedule does next, and what became of what it did last; what a job went through."""

from __future__ import annotations

from typing import Annotated

import msgspec

from jobd.broker.outcomes import outcomes
from jobd.broker.schedule_records import ScheduleInfo
from jobd.broker.store import store_ms
from jobd.broker.timeline import Attempt, attempts_of
from jobd.core.preview import preview
from jobd.web.api import shown
from jobd.web.api.endpoint import Body, Call, Endpoint
from jobd.web.api.house import House


class HowMany(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """So many runs."""

    count: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10


class NextRun(msgspec.Struct, frozen=True, kw_only=True):
    """One time: `at` ms since 1970, `local` what the clocks of its zone show (ISO 8601, with offset), and
    what is odd about it, where they change."""

    at: int
    local: str
    remark: str


class LastRun(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the job that was added last, `at` (ms). `state` None: nothing is kept of it."""

    job: str
    at: int | None
    state: str | None
    ended_at: int | None
    error: str | None


class Runs(msgspec.Struct, frozen=True, kw_only=True):
    """The next runs of a schedule, by Redis' clock `now`; none of a `paused` one comes before it is resumed.

    `reckoned`: whether its times can be told here, where its zone is known.
    """

    now: int
    zone: str
    paused: bool
    reckoned: bool
    runs: list[NextRun]
    last: LastRun | None


def _runs(house: House, call: Call) -> Runs:
    info = shown.schedule(house, call.path["queue"], call.path["schedule"])
    slots, now = info.slots(), store_ms(house.client)
    after = now if info.next_at is None else min(now, info.next_at - 1)
    found = [] if slots is None else preview(slots, after, call.query.count)
    return Runs(
        now=now,
        zone=info.tz,
        paused=info.paused,
        reckoned=slots is not None,
        runs=[NextRun(at=r.slot, local=r.local.isoformat(), remark=r.remark) for r in found],
        last=_last(house, info),
    )


def _last(house: House, info: ScheduleInfo) -> LastRun | None:
    if info.last_job is None:
        return None
    [found] = outcomes(house.client, house.namespace, [(info.queue, info.last_job)])
    return LastRun(
        job=info.last_job,
        at=info.last_at,
        state=None if found is None else found.state,
        ended_at=None if found is None else found.ended_at,
        error=None if found is None else found.error,
    )


def _attempts(house: House, call: Call) -> list[Attempt]:
    return attempts_of(shown.job(house, call.path["queue"], call.path["job"]))


ENDPOINTS = [
    Endpoint(
        "GET", "/queues/{queue}/schedules/{schedule}/runs", "preview_schedule", "schedules",
        "List the next runs of a schedule, in its zone, and what became of the last one.",
        _runs, Runs, query=HowMany,
    ),
    Endpoint(
        "GET", "/queues/{queue}/jobs/{job}/attempts", "list_attempts", "jobs",
        "List what a job went through: when, where and how each attempt ended, with error and traceback.",
        _attempts, list[Attempt],
    ),
]  # fmt: skip
