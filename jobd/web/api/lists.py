"""Lists: queues with their figures, tasks, jobs page by page, the dead by what killed them."""

from __future__ import annotations

from typing import Annotated

import msgspec

from jobd.broker.browse_groups import DeadGroups
from jobd.broker.browse_pages import MOST_ROWS, Page
from jobd.broker.browse_queues import QueueRow, TaskRow
from jobd.broker.flow import Flow
from jobd.core.names import check_name
from jobd.web.api.endpoint import Body, Call, Endpoint
from jobd.web.api.house import House
from jobd.web.api.kinds import Name, State
from jobd.web.api.reading import read_age

_MOST_CURSOR = 1000


class Which(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which jobs, of one state, and which page of them: `cursor` is the `next` of the page before.

    `error` is a part of the error's text, in any case; `like` is the whole shape of it, as groups of the dead
    have it. `cause` is what a job is dead of, `?` where that is not recorded. Ages (`90s`, or seconds) count from
    the end of a job that has ended and from its adding otherwise. A page of a filter may have few rows, or none, and a next one all the same: a call looks at
    so many jobs and no more.
    """

    state: State
    cursor: Annotated[str, msgspec.Meta(max_length=_MOST_CURSOR)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_ROWS)] = 50
    task: Name | None = None
    error: str | None = None
    like: str | None = None
    cause: str | None = None
    group: Name | None = None
    older_than: str | None = None
    newer_than: str | None = None


class Where(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of one queue, or of all."""

    queue: Name | None = None


class QueueShown(msgspec.Struct, frozen=True, kw_only=True):
    """One queue and its tasks."""

    queue: QueueRow
    tasks: list[TaskRow]


def _queues(house: House, _call: Call) -> list[QueueRow]:
    return house.browser.queues()


def show_queue(house: House, name: str) -> QueueShown:
    """Read a queue and its tasks. Raises NoSuchQueue, BrokerError."""
    name = house.known(name)
    return QueueShown(queue=house.browser.queue(name), tasks=house.browser.tasks(name))


def _queue(house: House, call: Call) -> QueueShown:
    return show_queue(house, call.path["queue"])


def _tasks(house: House, call: Call) -> list[TaskRow]:
    return house.browser.tasks(house.known(call.path["queue"]))


def _jobs(house: House, call: Call) -> Page:
    return list_jobs(house, call.path["queue"], call.query)


def list_jobs(house: House, queue: str, which: Which) -> Page:
    """Read one page of jobs. Raises NoSuchQueue, OptionError, BrokerError."""
    for what, name in (("task", which.task), ("group", which.group)):
        if name is not None:
            check_name(name, what=what)
    return house.browser.page(
        house.known(queue), which.state,
        cursor=which.cursor, limit=which.limit,
        task=which.task, error=which.error, like=which.like, cause=which.cause, group=which.group,
        older_than_ms=read_age(which.older_than, what="older_than"),
        newer_than_ms=read_age(which.newer_than, what="newer_than"),
    )  # fmt: skip


def dead_groups(house: House, queue: str | None) -> DeadGroups:
    """Group the dead of one queue, or of all. Raises OptionError, NoSuchQueue, BrokerError."""
    return house.browser.dead_groups(
        None if queue is None else house.known(check_name(queue, what="queue"))
    )


def _dead(house: House, call: Call) -> DeadGroups:
    return dead_groups(house, call.query.queue)


def _flow(house: House, call: Call) -> Flow:
    return house.views().flow(house.known(call.path["queue"]))


ENDPOINTS = [
    Endpoint(
        "GET", "/queues", "list_queues", "queues",
        "List the queues: jobs by state, the oldest that waits, workers, and the figures of the last hour.",
        _queues, list[QueueRow],
    ),
    Endpoint(
        "GET", "/queues/{queue}", "show_queue", "queues",
        "Show a queue and its tasks with their figures.",
        _queue, QueueShown,
    ),
    Endpoint(
        "GET", "/queues/{queue}/tasks", "list_tasks", "queues",
        "List the tasks of a queue: what became of their jobs, how long these waited and ran.",
        _tasks, list[TaskRow],
    ),
    Endpoint(
        "GET", "/queues/{queue}/flow", "show_flow", "queues",
        "Show what holds a queue back: pauses, a wait, its limits.",
        _flow, Flow,
    ),
    Endpoint(
        "GET", "/queues/{queue}/jobs", "list_jobs", "jobs",
        "List jobs of one state: what runs next first, what ended last first; without their arguments.",
        _jobs, Page, query=Which,
    ),
    Endpoint(
        "GET", "/dead", "group_dead", "jobs",
        "Group the dead by task, cause and the shape of their error, the largest group first.",
        _dead, DeadGroups, query=Where,
    ),
]  # fmt: skip
