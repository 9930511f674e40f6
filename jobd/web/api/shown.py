"""One job, one schedule, as they may be shown: with what is secret in their payloads masked.

Invariant: nothing that HTTP gives of arguments, results, steps and labels comes but through here. Log
lines and errors are free text, and come as they are. Called by the endpoints and by pages.
"""

from __future__ import annotations

import msgspec

from jobd.broker.schedule_records import ScheduleInfo
from jobd.broker.views import JobInfo
from jobd.core.masking import Masking
from jobd.web.api.house import House
from jobd.web.api.problems import NoSuchJob, NotThere


class NoSuchSchedule(NotThere):
    """The queue has no schedule of that name."""

    code = "jobd.no_such_schedule"


def job(house: House, queue: str | None, job_id: str) -> JobInfo:
    """Read all that is recorded of a job; no queue: in whichever. Raises NoSuchJob, BrokerError."""
    info = house.browser.find(job_id, queue)
    if info is None:
        raise no_such_job(queue, job_id)
    return masked_job(house.mask, info)


def schedule(house: House, queue: str, name: str) -> ScheduleInfo:
    """Read all of a schedule. Raises NoSuchSchedule, BrokerError."""
    found = house.browser.schedule(queue, name)
    if found is None:
        raise no_such_schedule(queue, name)
    return masked_schedule(house.mask, found)


def masked_job(mask: Masking, info: JobInfo) -> JobInfo:
    """Give the same job with what is secret masked."""
    return msgspec.structs.replace(
        info,
        args=mask.document(info.args),
        meta=mask.value(info.meta),
        options=mask.inside(info.options),
        history=[mask.inside(line) for line in info.history],
        result=mask.document(info.result),
        steps=mask.value({name: mask.document(each) for name, each in info.steps.items()}),
    )


def masked_schedule(mask: Masking, info: ScheduleInfo) -> ScheduleInfo:
    """Give the same schedule with what is secret masked."""
    return msgspec.structs.replace(
        info, args=mask.document(info.args), options=mask.inside(info.options)
    )


def no_such_job(queue: str | None, job_id: str) -> NoSuchJob:
    """Say that there is no such job."""
    where = "any queue" if queue is None else f"queue {queue!r}"
    return NoSuchJob(
        f"job {job_id!r}: not recorded in {where}; "
        "expected an id that was added and is still kept (`retain`)"
    )


def no_such_schedule(queue: str, name: str) -> NoSuchSchedule:
    """Say that there is no such schedule."""
    return NoSuchSchedule(
        f"schedule {name!r}: not on queue {queue!r}; expected one that is; see /api/v1/schedules"
    )
