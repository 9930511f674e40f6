"""Jobs of one queue by state: a list that stands still while it is read, and counts that go on.

What is asked for is read as the API reads it. A filter that cannot be read is said beside the form, with
what was put in still there. Called by the table of pages.
"""

from __future__ import annotations

from collections.abc import Mapping

from jobd.broker.browse_pages import Page as Rows
from jobd.client.operate import VERBS
from jobd.core.errors import OptionError
from jobd.core.names import check_name, is_name
from jobd.core.states import DEAD_CAUSES, STATES, WAITING
from jobd.web.api.house import House
from jobd.web.api.lists import Which, list_jobs
from jobd.web.api.problems import NotThere, RequestError
from jobd.web.api.reading import read_pairs
from jobd.web.pages.page import Ask, Live, Model, Page
from jobd.web.pages.terminal import list_command

FILTERS = ("task", "error", "like", "cause", "group", "older_than", "newer_than")
LIMITS = ("25", "50", "100", "200")
_MOST_TASKS = 500  # that the form offers
# What can be done to many at once: the word on the button, and what is asked before.
_BULK = {
    "retry": "Retry",
    "run-now": "Run now",
    "cancel": "Cancel",
    "delete": "Delete",
}


def read(house: House, ask: Ask) -> Model:
    """Read a page of the list, and all that stands around it."""
    queue = house.known(check_name(ask.path["queue"], what="queue"))
    rows, problem = _rows(house, queue, ask.query)
    ids = [row.id for row in rows.rows] if rows else []
    return {
        **read_counts(house, ask),
        "queues": house.views().queues(),
        "tasks": sorted(house.views().tasks_seen(queue))[:_MOST_TASKS],
        "rows": rows,
        # What a stranger put there may have an id that no page and no button can name.
        "named": {each for each in ids if is_name(each.encode("utf-8", "replace"))},
        "problem": problem,
        "limits": LIMITS,
    }


def read_counts(house: House, ask: Ask) -> Model:
    """Read what goes on: how many jobs are in each state."""
    queue = house.known(check_name(ask.path["queue"], what="queue"))
    state = _state(ask.query)
    said = {name: ask.query[name] for name in FILTERS if name in ask.query}
    return {
        "queue": queue,
        "state": state,
        "states": STATES,
        "counts": house.views().counts(queue),
        "said": said,
        "form": dict.fromkeys(FILTERS, "") | said,
        "limit": ask.query.get("limit", ""),
        "cursor": ask.query.get("cursor", ""),
        "bulk": {verb: word for verb, word in _BULK.items() if state in VERBS[verb]},
        "causes": DEAD_CAUSES,
        "command": list_command(queue, state, said),
    }


def _rows(house: House, queue: str, query: Mapping[str, str]) -> tuple[Rows | None, str]:
    """Read the rows; or say what is wrong with what is asked for."""
    try:
        which = read_pairs({"state": WAITING, **query}, Which)
        return list_jobs(house, queue, which), ""
    except NotThere:
        raise
    except (OptionError, RequestError) as bad:
        return None, str(bad)


def _state(query: Mapping[str, str]) -> str:
    state = query.get("state", WAITING)
    return state if state in STATES else WAITING


PAGE = Page(
    "/queues/{queue}/jobs", "jobs", "Jobs of {queue}", "jobs.html", read,
    live=Live(read_counts, "jobs_tabs.html"), query=("state", "limit", *FILTERS),
)  # fmt: skip
