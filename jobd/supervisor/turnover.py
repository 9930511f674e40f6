"""Replacing workers for their age, their jobs or their memory: what jobd.supervisor.recycle has chosen.

Part of settling; called by settle only.
"""

from __future__ import annotations

from collections import Counter

from msgspec.structs import replace

from jobd.core.memory_events import MemoryLimitTooLow, MemoryOverLimit
from jobd.core.sizes import size_words
from jobd.supervisor import absorb, recycle
from jobd.supervisor.fleet import Child, Fleet, Queue
from jobd.supervisor.layout import MOST_LEAVERS
from jobd.supervisor.memory import Limits
from jobd.supervisor.orders import Action, Say
from jobd.supervisor.recycle import Worker


def turn_over(fleet: Fleet, now: float, out: list[Action]) -> None:
    """Make leavers of those who are to be replaced."""
    for queue in fleet.queues.values():
        if queue.limits != Limits():
            _turn_over(fleet, queue, now, out)


def _turn_over(fleet: Fleet, queue: Queue, now: float, out: list[Action]) -> None:
    slots = fleet.slots_of(queue.name)
    here = [
        child
        for slot in slots
        if (child := fleet.child_in(slot)) is not None and child.joined and child.works
    ]
    leavers = Counter(child.slot for child in fleet.children.values() if child.leaving)
    free = [child for child in here if leavers[child.slot] < MOST_LEAVERS]
    workers = {child.incarnation: _worker(fleet, child) for child in free}
    is_whole = len(here) == len(slots)
    chosen = recycle.choose(queue.limits, [*workers.values()], now, is_whole=is_whole)
    for incarnation, why in chosen:
        child = fleet.children[incarnation]
        if why == "memory_limit":
            _note_swelling(fleet, child, workers[incarnation], out)
        absorb.leave(fleet, child, why, now)


def _worker(fleet: Fleet, child: Child) -> Worker:
    return Worker(
        name=child.incarnation,
        slot=child.slot,
        joined_at=child.joined_at,
        ran=child.ran,
        weight=child.weight,
        swells=fleet.slots[child.slot].swells,
    )


def _note_swelling(fleet: Fleet, child: Child, worker: Worker, out: list[Action]) -> None:
    out.append(Say(over_limit(child, child.limits.memory, "replaced after its jobs")))
    swells = recycle.swells_after(worker)
    fleet.slots[child.slot] = replace(fleet.slots[child.slot], swells=swells)
    if recycle.was_at_once(worker):
        too_low = MemoryLimitTooLow(
            slot=child.slot,
            memory=size_words(child.weight.private),
            limit=size_words(child.limits.memory),
            next_in=recycle.wait_after(child.slot, swells),
        )
        out.append(Say(too_low))


def over_limit(child: Child, limit: int, then: str) -> MemoryOverLimit:
    """Make the event of a worker that has too much."""
    return MemoryOverLimit(
        slot=child.slot,
        incarnation=child.incarnation,
        memory=size_words(child.weight.private),
        limit=size_words(limit),
        ran=child.ran,
        then=then,
    )
