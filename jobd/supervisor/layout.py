"""Which slots there are, and which workers are to be replaced by others of newer code or settings.

Invariant: of a queue only a few workers are replaced at a time, and each goes only when its successor
has joined, so a reload takes nobody away before somebody is there; a slot has few leavers, so that
reloads in a row with long jobs do not fill the host. Part of settling; called by settle only.
"""

from __future__ import annotations

import itertools
from collections import Counter

from msgspec.structs import replace

from jobd.core import events
from jobd.supervisor import absorb
from jobd.supervisor.fleet import Child, Fleet, Helper, Queue, Slot, slot_name, slot_number
from jobd.supervisor.orders import Action, Say

# Earlier workers of a slot that still end their jobs: with so many, the next one waits.
MOST_LEAVERS = 4


def lay_out(fleet: Fleet, now: float) -> None:
    """Make the slots that queues want, and take away those they do not."""
    have = Counter(slot.queue for slot in fleet.slots.values())
    if all(have[q.name] == q.target for q in fleet.queues.values()) and len(have) <= len(
        fleet.queues
    ):
        return
    for slot in list(fleet.slots.values()):
        if slot.queue not in fleet.queues:
            _take_away(fleet, slot, "removed", now)
    for queue in fleet.queues.values():
        slots = sorted(fleet.slots_of(queue.name), key=lambda slot: _worth(fleet, slot))
        for slot in slots[: max(0, len(slots) - queue.target)]:
            _take_away(fleet, slot, "scaled", now)
        _add_slots(fleet, queue, queue.target - len(slots))


def _worth(fleet: Fleet, slot: Slot) -> tuple[int, int]:
    """Order slots by who goes first: a vacant one, an idle worker; of equals the highest number."""
    child = fleet.child_in(slot)
    worth = 0 if child is None else 1 if not child.joined else 2 if not child.busy else 3
    return worth, -slot_number(slot)


def _add_slots(fleet: Fleet, queue: Queue, count: int) -> None:
    """Make slots of the lowest numbers that are free."""
    names = (slot_name(queue.name, number) for number in itertools.count(1))
    free = (name for name in names if name not in fleet.slots)
    for name in itertools.islice(free, max(0, count)):
        fleet.slots[name] = Slot(name=name, queue=queue.name)


def _take_away(fleet: Fleet, slot: Slot, why: str, now: float) -> None:
    child = fleet.child_in(slot)
    if child is not None:
        absorb.leave(fleet, child, why, now)
    del fleet.slots[slot.name]


def adopt_queues(fleet: Fleet, helper: Helper, out: list[Action]) -> None:
    """Serve the queues that an application declares and the configuration does not name."""
    for queue in helper.queues:
        if queue not in fleet.queues:
            fleet.queues[queue] = Queue(name=queue, helper=helper.name)
            out.append(Say(events.QueueAdded(queue=queue, processes=1)))
    if not fleet.queues:
        out.append(Say(events.NothingToServe(app=helper.app or "")))


def roll(fleet: Fleet, now: float) -> None:
    """Replace workers that are of other code or settings than they should be, a few at a time."""
    wanted = {q.name: fleet.stamp(q) for q in fleet.queues.values() if fleet.helpers[q.helper].up}
    outdated: dict[str, list[Child]] = {}
    for slot in fleet.slots.values():
        child = fleet.child_in(slot)
        if child is not None and child.stamp != wanted.get(slot.queue, child.stamp):
            outdated.setdefault(slot.queue, []).append(child)
    for name, children in outdated.items():
        _replace_some(fleet, fleet.queues[name], children, now)


def is_rolling(fleet: Fleet) -> bool:
    """Tell whether a worker is to be replaced still, or its successor to come up."""
    return any(
        child is None or not child.joined or child.stamp != fleet.stamp(fleet.queues[slot.queue])
        for slot in fleet.slots.values()
        for child in [fleet.child_in(slot)]
    )


def _filling(fleet: Fleet, queue: Queue) -> list[Child]:
    slots = fleet.slots_of(queue.name)
    return [child for slot in slots if (child := fleet.child_in(slot)) is not None]


def _replace_some(fleet: Fleet, queue: Queue, outdated: list[Child], now: float) -> None:
    coming = sum(not child.joined for child in _filling(fleet, queue))
    # A slot whose new workers fail is no reason to wait: their predecessors go on until one joins.
    coming += sum(not s.child and not s.failures for s in fleet.slots_of(queue.name))
    # One that has not joined has no work: replacing it takes nobody away.
    room = max(1, queue.target // 4) - coming
    leavers = Counter(child.slot for child in fleet.children.values() if child.leaving)
    for child in outdated:
        if not child.works or leavers[child.slot] >= MOST_LEAVERS:
            continue
        if not child.joined:
            absorb.leave(fleet, child, "reload", now)
        elif room > 0:
            room -= 1
            absorb.leave(fleet, child, "reload", now)


def freshen(fleet: Fleet, queue: Queue, now: float) -> None:
    """Let vacant slots of this queue be filled at once: what they waited for is not what comes now."""
    for slot in fleet.slots_of(queue.name):
        if not slot.child:
            fleet.slots[slot.name] = replace(slot, due=now, failures=0)
