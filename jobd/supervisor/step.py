"""The supervisor's brain: `step(fleet, observation, now)` gives the next fleet and the actions.

Pure and total: it reads no clock and touches nothing; the fleet it was given stays as it was. First
the observation is absorbed into the slots, then one pass over all of them settles what the new
state demands. Called by jobd.supervisor.loop, and by tests in virtual time.
"""

from __future__ import annotations

from typing import assert_never

from jobd.supervisor import absorb, hand, helpers, looks, reload, scaling, watchdog
from jobd.supervisor.fleet import Fleet
from jobd.supervisor.orders import (
    Action,
    Beat,
    Counted,
    Dumped,
    Fenced,
    Forked,
    HelperExited,
    Loaded,
    LoadFailed,
    Looked,
    Observation,
    PlanRead,
    PlanRefused,
    RecycleAsked,
    Refused,
    Released,
    ReloadAsked,
    ScaleAsked,
    StacksAsked,
    StopAsked,
    Ticked,
    WorkerExited,
)
from jobd.supervisor.settle import settle


def step(fleet: Fleet, seen: Observation, now: float) -> tuple[Fleet, list[Action]]:
    """Decide. `now` is monotonic seconds and never goes back."""
    fleet = fleet.copy()
    out: list[Action] = []
    _absorb(fleet, seen, now, out)
    settle(fleet, now, out)
    return fleet, out


def _absorb(fleet: Fleet, seen: Observation, now: float, out: list[Action]) -> None:  # noqa: C901, PLR0912
    # One line a kind: the length is the number of kinds, not a tangle.
    match seen:
        case Ticked():
            pass
        case Loaded():
            helpers.loaded(fleet, seen, out)
            absorb.heard(fleet, seen.helper, now)
        case LoadFailed():
            helpers.load_failed(fleet, seen, out)
        case Beat():
            helpers.came_up(fleet, seen.helper)
            watchdog.beat(fleet, seen, now)
        case HelperExited():
            helpers.exited(fleet, seen, now, out)
        case Forked():
            absorb.forked(fleet, seen, now, out)
        case Refused():
            absorb.refused(fleet, seen, now, out)
        case WorkerExited():
            absorb.worker_exited(fleet, seen, now, out)
        case Looked():
            looks.looked(fleet, seen, now, out)
        case Released():
            absorb.released(fleet, seen, out)
        case Fenced():
            for incarnation in seen.incarnations:
                if child := fleet.children.get(incarnation):
                    absorb.kill(fleet, child, "fenced", (), out)
        case StopAsked():
            absorb.stop_asked(fleet, seen.now, now, out)
        case ReloadAsked():
            reload.asked(fleet, seen, now, out)
        case PlanRead():
            reload.plan_read(fleet, seen, out)
        case PlanRefused():
            reload.give_up(fleet, seen.why, out)
        case Dumped():
            watchdog.dumped(fleet, seen.who, now)
        case StacksAsked():
            watchdog.stacks_asked(fleet, seen, out)
        case RecycleAsked():
            hand.recycle(fleet, seen, now, out)
        case Counted():
            scaling.counted(fleet, seen, now, out)
            watchdog.store_heard(fleet, seen.store, now)
        case ScaleAsked():
            scaling.asked(fleet, seen, now, out)
        case _:
            assert_never(seen)
