"""The second half of a step: one pass over everything derives what the state demands.

Invariant: decided from the state, never from the observation, so a missed or doubled one heals at
the next tick, and settling twice at one instant does nothing the second time. Called by
jobd.supervisor.step only.
"""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from jobd.core import events
from jobd.supervisor import absorb, budget, helpers, layout, reload, turnover, watchdog
from jobd.supervisor.fleet import NEVER, Child, Dead, Fleet, Queue, Role, Slot, Stage, Stop
from jobd.supervisor.orders import Action, Drain, Fork, Quit, Ready, Say, Withdraw


def settle(fleet: Fleet, now: float, out: list[Action]) -> None:
    """Append the actions that bring the fleet to where it should be."""
    if fleet.ended:
        return
    _give_up_lost_forks(fleet, now, out)
    watchdog.settle(fleet, now, out)
    helpers.end_overdue(fleet, now, out)
    match fleet.stop:
        case Stop.NO:
            layout.lay_out(fleet, now)
            _announce(fleet, out)
            reload.settle(fleet, now, out)
            layout.roll(fleet, now)
            turnover.turn_over(fleet, now, out)
            helpers.end_unwanted(fleet, now, out)
            helpers.start_due(fleet, now, out, keeper_only=False)
            _fill(fleet, now, out)
            _see_off(fleet, now, out)
            reload.tell_rolled(fleet, out)
        case Stop.DRAIN:
            reload.stopped(fleet, out)
            _drain(fleet, now, out)
            _leave(fleet, now, out)
        case Stop.NOW:
            reload.stopped(fleet, out)
            _withdraw(fleet, out)
            for child in list(fleet.children.values()):
                absorb.kill(fleet, child, "stopped", (), out)
            _leave(fleet, now, out)
        case _:
            assert_never(fleet.stop)


def next_deadline(fleet: Fleet) -> float:
    """Tell when `settle` has something to do even if nothing is heard; NEVER if it has not."""
    times = [watchdog.due(fleet)]
    leaving = fleet.stop is not Stop.NO
    for child in fleet.children.values():
        if child.stage is Stage.FORKING:
            times.append(min(child.give_up_at, fleet.drain_by))
        elif leaving and child.told_at is not None and not child.killed:
            times.append(fleet.drain_by)
    if not leaving:
        times += _forks_due(fleet)
        times.append(reload.due(fleet))
    for helper in fleet.helpers.values():
        keeper = helper.role is Role.KEEPER
        if not helper.running and (not leaving or (keeper and _wants_keeper(fleet))):
            times.append(helper.due)
        elif helper.running and not helper.killed:
            times.append(min(helper.end_by, fleet.end_by))
    if fleet.end_by == NEVER:
        times.append(fleet.ack_by)
    return min(times)


def _forks_due(fleet: Fleet) -> list[float]:
    return [
        max(slot.due, fleet.queues[slot.queue].fork_at)
        for slot in fleet.slots.values()
        if not slot.child
        and _can_fork(fleet, fleet.queues[slot.queue])
        and not _is_probing(fleet, fleet.queues[slot.queue])
    ]


def _give_up_lost_forks(fleet: Fleet, now: float, out: list[Action]) -> None:
    for child in list(fleet.children.values()):
        if child.stage is not Stage.FORKING or now < child.give_up_at:
            continue
        _bury_unborn(fleet, child, "crash")
        absorb.fork_failed(fleet, child, "the preloader did not answer the order", now, out)


def _bury_unborn(fleet: Fleet, child: Child, cause: str) -> None:
    """Nobody knows whether it was forked: its page and its lease are treated as those of a dead."""
    fleet.dead[child.incarnation] = Dead(
        incarnation=child.incarnation,
        queue=child.queue,
        page=child.page,
        board=fleet.board,
        cause=cause,
        unborn=True,
    )


def _withdraw(fleet: Fleet, out: list[Action]) -> None:
    """Wait for no fork any more: who turns up all the same finds so on his page, or is killed.

    Nor may he take up what is being handed back by those that are killed now.
    """
    for child in list(fleet.children.values()):
        if child.stage is Stage.FORKING:
            _bury_unborn(fleet, child, "stopped")
            out.append(Withdraw(child.page))
            absorb.forget(fleet, child)


def _can_fork(fleet: Fleet, queue: Queue) -> bool:
    return bool(fleet.free) and fleet.helpers[queue.helper].up


def _is_probing(fleet: Fleet, queue: Queue) -> bool:
    """A queue that was given up has one child at a time that is still to prove itself."""
    return queue.gave_up and any(
        child.queue == queue.name and not child.leaving and not child.ran
        for child in fleet.children.values()
    )


def _fill(fleet: Fleet, now: float, out: list[Action]) -> None:
    for slot in list(fleet.slots.values()):
        if slot.child or now < slot.due:
            continue
        queue = fleet.queues[slot.queue]
        if now < queue.fork_at or not _can_fork(fleet, queue) or _is_probing(fleet, queue):
            continue
        _order(fleet, slot, queue, now, out)


def _order(fleet: Fleet, slot: Slot, queue: Queue, now: float, out: list[Action]) -> None:
    page, *rest = fleet.free
    fleet.free = tuple(rest)
    fleet.counter += 1
    child = Child(
        incarnation=f"{fleet.nonce}.{fleet.counter}",
        slot=slot.name,
        queue=queue.name,
        helper=queue.helper,
        page=page,
        stamp=fleet.stamp(queue),
        limits=queue.limits,
        fork=slot.forks + 1,
        since=now,
        give_up_at=now + fleet.policy.fork_grace,
    )
    fleet.children[child.incarnation] = child
    fleet.slots[slot.name] = replace(slot, child=child.incarnation, forks=child.fork)
    fleet.queues[queue.name] = budget.after_fork(queue, now)
    out.append(Fork(child.helper, child.incarnation, page, queue.name, slot.name, queue.cells))


def _see_off(fleet: Fleet, now: float, out: list[Action]) -> None:
    """Have leavers drain whose place is taken, or is no more."""
    for child in list(fleet.children.values()):
        if not child.leaving or not child.works or child.told_at is not None:
            continue
        slot = fleet.slots.get(child.slot)
        successor = fleet.child_in(slot) if slot is not None else None
        if slot is None or not child.joined or (successor is not None and successor.joined):
            _tell(fleet, child, now, out)


def _tell(fleet: Fleet, child: Child, now: float, out: list[Action]) -> None:
    fleet.children[child.incarnation] = replace(child, told_at=now, ran_till_told=child.ran)
    out.append(Drain(child.incarnation))


def _announce(fleet: Fleet, out: list[Action]) -> None:
    loaded = all(h.ever_up for h in fleet.helpers.values() if h.role is Role.PRELOADER)
    if fleet.ready or not loaded:
        return
    started = [fleet.child_in(slot) for slot in fleet.slots.values() if not slot.last_exit]
    if not all(child is not None and child.stage is Stage.RUNNING for child in started):
        return
    fleet.ready = True
    out.append(Ready())
    out.append(Say(events.DaemonReady(workers=len(fleet.slots))))


def _drain(fleet: Fleet, now: float, out: list[Action]) -> None:
    if now >= fleet.drain_by:
        _withdraw(fleet, out)
    for child in list(fleet.children.values()):
        if not child.works:
            continue
        if child.told_at is None:
            _tell(fleet, child, now, out)
        elif now >= fleet.drain_by and now > child.told_at:
            absorb.kill(fleet, child, "stopped", (), out)


def _leave(fleet: Fleet, now: float, out: list[Action]) -> None:
    helpers.end_preloaders(fleet, now, out)
    if fleet.children:
        helpers.start_due(fleet, now, out, keeper_only=True)
        return
    helpers.end_services(fleet, now, out)
    late = max(now, fleet.drain_by) + fleet.policy.late_grace
    fleet.ack_by = min(fleet.ack_by, now + fleet.policy.ack_grace, late)
    if fleet.dead and now < fleet.ack_by:
        helpers.start_due(fleet, now, out, keeper_only=True)
        return
    fleet.end_by = min(fleet.end_by, now + fleet.policy.helper_grace)
    for helper in list(fleet.helpers.values()):
        # With dead left the keeper cannot reach Redis, or it would have ended by itself. A release
        # that is cut off is gone on with by whoever comes next: nothing is worth waiting for.
        if helper.running and (fleet.dead or now >= fleet.end_by):
            helpers.end(fleet, helper.name, now, out, hard=True)
    if not any(helper.running for helper in fleet.helpers.values()):
        fleet.ended = True
        out.append(Say(events.DaemonStopped(code=fleet.code, unreleased=len(fleet.dead))))
        out.append(Quit(fleet.code))


def _wants_keeper(fleet: Fleet) -> bool:
    return fleet.end_by == NEVER
