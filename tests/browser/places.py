"""Every page of the dashboard, in a house that is empty and in one where all has happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

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
    eventually("progress", report.progress, within=20)
    eventually("all done", lambda: done[-1].state() == "completed", within=20)
    eventually("a second try", lambda: house.client.zcard("jobd:{q}:delayed") == 1, within=20)
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
    eventually("the report", lambda: report.state() == "completed", within=20)
    house.clear()


Where = Callable[[Lived], str]


def _at(path: str) -> Where:
    return lambda _lived: path


def _job(state: str, queue: str) -> Where:
    return lambda lived: f"/queues/{queue}/jobs/{lived.ids[state]}"


LIVED: dict[str, Where] = {
    "overview": _at("/"),
    "alerts": _at("/alerts"),
    "dead": _at("/dead"),
    "dead of a queue": _at("/dead?queue=odd"),
    "operations": _at("/operations"),
    "an operation": lambda lived: f"/operations/{lived.ids['operation']}",
}
