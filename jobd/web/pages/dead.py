"""The dead, grouped by what killed them, and what can be done with a whole group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from jobd.broker.browse_groups import DeadGroup
from jobd.core.names import is_name
from jobd.core.states import DEAD_CAUSES
from jobd.web.api.house import House
from jobd.web.api.lists import dead_groups
from jobd.web.pages.filters import dom_id
from jobd.web.pages.page import Ask, Live, Model, Page
from jobd.web.pages.slowly import slowly

EVERY = 5.0
"""Seconds between two looks of one stream: each looks at thousands of jobs."""
SHOWN = 200
"""Groups on a page; errors that are all different make as many as there are jobs."""
_NOT_OURS = "not a cause that jobd writes"


class Group(NamedTuple):
    """A group as it is shown. `share` is its part of what was looked at; `which` finds its jobs.

    `which` is empty where no filter can name them: a stranger wrote the task's name.
    """

    id: str
    of: DeadGroup
    share: float
    meaning: str
    which: Mapping[str, str]


def read(house: House, ask: Ask) -> Model:
    """Read the groups."""
    queue = ask.query.get("queue")
    found = dead_groups(house, queue)
    return {
        "queue": queue,
        "queues": house.views().queues(),
        "groups": [_shown(group, found.sampled) for group in found.groups[:SHOWN]],
        "more": max(0, len(found.groups) - SHOWN),
        "sampled": found.sampled,
        "total": found.total,
    }


def _shown(group: DeadGroup, sampled: int) -> Group:
    which = {
        "queue": group.queue, "task": group.task, "like": group.like, "cause": group.cause,
    }  # fmt: skip
    return Group(
        id=dom_id("dead", *which.values()),
        of=group,
        share=group.count / max(1, sampled),
        meaning=DEAD_CAUSES.get(group.cause, _NOT_OURS),
        which=which if is_name(group.task.encode("utf-8", "replace")) else {},
    )


PAGE = Page(
    "/dead", "dead", "Dead letters", "dead.html", read, "dead",
    live=Live(slowly(read, every=EVERY), "dead.html"), query=("queue",),
)  # fmt: skip
