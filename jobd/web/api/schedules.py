"""Schedules: when they fire; pause, resume, run now."""

from __future__ import annotations

import os
from typing import Literal

import msgspec

from jobd.broker.schedule_records import ScheduleInfo
from jobd.client.adding import outcome_of
from jobd.core.ids import uuid7
from jobd.core.names import check_name
from jobd.seams.clock import wall_ms
from jobd.web.api import shown
from jobd.web.api.endpoint import Body, Call, Endpoint
from jobd.web.api.house import House
from jobd.web.api.kinds import Name


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it: `running` where it was not paused."""

    queue: str
    schedule: str
    outcome: Literal["paused", "resumed", "running"]


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """The job that was added; `duplicate` names the one that holds the schedule's lock."""

    queue: str
    schedule: str
    job: str
    task: str
    outcome: Literal["enqueued", "duplicate", "replaced"]


class Times(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which schedules: of one queue, or all."""

    queue: Name | None = None


def _list(house: House, call: Call) -> list[ScheduleInfo]:
    one = call.query.queue
    return house.browser.schedules(
        None if one is None else house.known(check_name(one, what="queue"))
    )


def _show(house: House, call: Call) -> ScheduleInfo:
    return shown.schedule(house, call.path["queue"], call.path["schedule"])


def _pause(house: House, call: Call) -> Kept:
    queue, name = call.path["queue"], call.path["schedule"]
    return _kept(queue, name, house.schedules(queue).pause(name))


def _resume(house: House, call: Call) -> Kept:
    queue, name = call.path["queue"], call.path["schedule"]
    return _kept(queue, name, house.schedules(queue).resume(name))


def _kept(queue: str, name: str, word: str) -> Kept:
    if word == "gone":
        raise shown.no_such_schedule(queue, name)
    return Kept(queue=queue, schedule=name, outcome=msgspec.convert(word, _Outcome))


_Outcome = Literal["paused", "resumed", "running"]


def _run(house: House, call: Call) -> Ran:
    queue, name = call.path["queue"], call.path["schedule"]
    new_id = uuid7(wall_ms(), int.from_bytes(os.urandom(10)))
    added = house.schedules(queue).add_now(name, new_id)
    if added is None:
        raise shown.no_such_schedule(queue, name)
    outcome, job_id = outcome_of(*added)
    return Ran(
        queue=queue, schedule=name, job=job_id, task=added[0].task,
        outcome=msgspec.convert(outcome, Literal["enqueued", "duplicate", "replaced"]),
    )  # fmt: skip


ENDPOINTS = [
    Endpoint(
        "GET", "/schedules", "list_schedules", "schedules",
        "List schedules: when each fires next, what became of its last time; without arguments.",
        _list, list[ScheduleInfo], query=Times,
    ),
    Endpoint(
        "GET", "/queues/{queue}/schedules/{schedule}", "show_schedule", "schedules",
        "Show a schedule, with the arguments and options of what it adds.",
        _show, ScheduleInfo,
    ),
    Endpoint(
        "POST", "/queues/{queue}/schedules/{schedule}/pause", "pause_schedule", "schedules",
        "Fire a schedule no more, until it is resumed. What would have fired is not made up for.",
        _pause, Kept,
    ),
    Endpoint(
        "POST", "/queues/{queue}/schedules/{schedule}/resume", "resume_schedule", "schedules",
        "Fire a schedule again, from its next time on.",
        _resume, Kept,
    ),
    Endpoint(
        "POST", "/queues/{queue}/schedules/{schedule}/run", "run_schedule", "schedules",
        "Add a schedule's job now, beside its times, paused or not.",
        _run, Ran, status=201,
    ),
]  # fmt: skip
