"""What people ask for by hand, one worker or queue at a time. Called by jobd.supervisor.step only."""

from __future__ import annotations

from jobd.supervisor import absorb
from jobd.supervisor.fleet import Fleet, Stop
from jobd.supervisor.orders import Action, Answer, RecycleAsked


def recycle(fleet: Fleet, seen: RecycleAsked, now: float, out: list[Action]) -> None:
    """Replace the worker of a slot: it ends its jobs, and goes when its successor has joined."""
    slot = fleet.slots.get(seen.slot)
    child = None if slot is None else fleet.child_in(slot)
    error = None
    if slot is None:
        names = ", ".join(fleet.slots) or "none"
        error = f"slot: {seen.slot!r}; expected one of: {names}"
    elif child is None or not child.works or fleet.stop is not Stop.NO:
        error = (
            f"slot: {seen.slot} has no worker that goes on; try again when `jobd status` shows one"
        )
    else:
        absorb.leave(fleet, child, "asked", now)
    if seen.client is not None:
        out.append(Answer(seen.client, error))
