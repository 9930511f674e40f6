"""Every page of the dashboard, in a house that is empty and in one where all has happened."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from support.daemons import eventually

from browser.house import House


@dataclass
class Lived:
    """What `live_in` has left in a house: ids by what became of them."""

    ids: dict[str, str] = field(default_factory=dict)


def live_in(house: House) -> Lived:
    """Let jobs be in every state and everything else have happened once."""
    lived = Lived()
    lived.ids["dead"] = house.dead(3)[0]
    done = house.queue().add_many([("quick", {"n": n}) for n in range(40)])
    lived.ids["completed"] = done[0].id
    lived.ids["delayed"] = house.queue().add("tries_again", {"n": 1}).id
    lived.ids["active"] = (
        house.queue("reports").add("report", {"path": house.path("r"), "steps": 3}).id
    )
    house.tell("r.1")
    waiting = house.queue("odd").add_many([("quiet", {"n": n}) for n in range(120)])
    lived.ids["waiting"] = waiting[0].id
    lived.ids["cancelled"] = waiting[1].id
    waiting[1].cancel()
    house.queue("naps").pause(why="a look at it")
    report = house.queue("reports").job(lived.ids["active"])
    eventually("progress", report.progress)
    eventually("all done", lambda: done[-1].state() == "completed")
    eventually("a second try", lambda: house.client.zcard("jobd:{q}:delayed") == 1)
    order = {"verb": "retry", "queue": "odd", "states": ["dead"]}
    lived.ids["operation"] = str(house.api("POST", "/operations", order)["id"])
    lived.ids["host"] = str(
        eventually("a host", lambda: house.api("GET", "/hosts")["hosts"])[0]["key"]
    )
    return lived


def leave(house: House, lived: Lived) -> None:
    """End what `live_in` has begun."""
    for name in ("r.2", "r.3", "r.end"):
        house.tell(name)
    report = house.queue("reports").job(lived.ids["active"])
    eventually("the report", lambda: report.state() == "completed")
    house.clear()


Where = Callable[[Lived], str]
# The states, and where `live_in` has left a job in each.
QUEUE_OF = {
    "waiting": "odd", "delayed": "q", "active": "reports", "completed": "q", "dead": "q", "cancelled": "odd",
}  # fmt: skip


def _at(path: str) -> Where:
    return lambda _lived: path


def _jobs(state: str, queue: str) -> Where:
    return _at(f"/queues/{queue}/jobs?state={state}")


def _job(state: str, queue: str) -> Where:
    return lambda lived: f"/queues/{queue}/jobs/{lived.ids[state]}"


LIVED: dict[str, Where] = {
    "overview": _at("/"),
    "queue": _at("/queues/q"),
    "paused queue": _at("/queues/naps"),
    **{state: _jobs(state, queue) for state, queue in QUEUE_OF.items()},
    **{f"a job that is {state}": _job(state, queue) for state, queue in QUEUE_OF.items()},
    "workers": _at("/workers"),
    "a host": lambda lived: f"/workers/{lived.ids['host']}",
    "a worker": lambda lived: f"/workers/{lived.ids['host']}/reports.1",
    "schedules": _at("/schedules"),
    "a schedule": _at("/queues/q/schedules/nightly"),
    "alerts": _at("/alerts"),
    "dead letters": _at("/dead"),
    "operations": _at("/operations"),
    "an operation": lambda lived: f"/operations/{lived.ids['operation']}",
}
# Those that are judged by `make test` too; all of them are by `make looks`.
FEW = ("overview", "a job that is dead", "/", "/login")


def looked_at(places: Iterable[str]) -> list[Any]:
    """Mark those that `make looks` alone goes to."""
    return [
        pytest.param(place, marks=() if place in FEW else pytest.mark.looks, id=place)
        for place in places
    ]


EMPTY = [
    "/", "/queues/odd", "/queues/odd/jobs?state=dead", "/queues/odd/jobs?state=waiting&task=x", "/workers?queue=odd",
    "/schedules?queue=odd", "/alerts", "/dead", "/operations", "/login",
]  # fmt: skip
