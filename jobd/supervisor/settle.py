"""The second half of a step: one pass over everything derives what the state demands.

Invariant: decided from the state, never from the observation, so a missed or doubled one heals at
the next tick, and settling twice at one instant does nothing the second time. Called by
jobd.supervisor.step only.
"""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from jobd.core import events
from jobd.supervisor import absorb, helpers
from jobd.supervisor.fleet import NEVER, Dead, Fleet, Slot, Stage, Stop
from jobd.supervisor.orders import Action, Drain, EndHelper, Fork, Quit, Ready, Say


def settle(fleet: Fleet, now: float, out: list[Action]) -> None:
    """Append the actions that bring the fleet to where it should be."""
    if fleet.ended:
        return
    _give_up_lost_forks(fleet, now, out)
    match fleet.stop:
        case Stop.NO:
            helpers.start_due(fleet, now, out, keeper_only=False)
            _fill(fleet, now, out)
            _announce(fleet, out)
        case Stop.DRAIN:
            _drain(fleet, now, out)
            _leave(fleet, now, out)
        case Stop.NOW:
            for slot in list(fleet.slots.values()):
                absorb.kill(fleet, slot, "stopped", (), out)
            _leave(fleet, now, out)
        case _:
            assert_never(fleet.stop)


def next_deadline(fleet: Fleet) -> float:
    """Tell when `settle` has something to do even if nothing is heard; NEVER if it has not."""
    times = [NEVER]
    leaving = fleet.stop is not Stop.NO
    for slot in fleet.slots.values():
        if slot.stage is Stage.FORKING:
            times.append(slot.give_up_at)
        elif slot.stage is Stage.VACANT and not leaving and _can_fork(fleet, slot):
            times.append(slot.due)
        elif slot.stage is Stage.RUNNING and slot.told_at is not None and not slot.killed:
            times.append(fleet.drain_by)
    for helper in fleet.helpers.values():
        if not helper.running and (not leaving or (helper.app is None and _wants_keeper(fleet))):
            times.append(helper.due)
        elif helper.running and not helper.killed:
            times.append(fleet.end_by)
    if fleet.end_by == NEVER:
        times.append(fleet.ack_by)
    return min(times)


def _give_up_lost_forks(fleet: Fleet, now: float, out: list[Action]) -> None:
    for slot in list(fleet.slots.values()):
        if slot.stage is not Stage.FORKING or now < slot.give_up_at:
            continue
        # Nobody knows whether it was forked: its page and its lease are treated as those of a dead.
        fleet.dead[slot.incarnation] = Dead(
            incarnation=slot.incarnation,
            queue=slot.queue,
            page=slot.page,
            board=fleet.board,
            cause="crash",
            unborn=True,
        )
        absorb.fork_failed(fleet, slot, "the preloader did not answer the order", now, out)


def _can_fork(fleet: Fleet, slot: Slot) -> bool:
    return bool(fleet.free) and fleet.helpers[slot.helper].up


def _fill(fleet: Fleet, now: float, out: list[Action]) -> None:
    for slot in list(fleet.slots.values()):
        if slot.stage is not Stage.VACANT or now < slot.due or not _can_fork(fleet, slot):
            continue
        page, *rest = fleet.free
        fleet.free = tuple(rest)
        fleet.counter += 1
        incarnation = f"{fleet.nonce}.{fleet.counter}"
        fleet.slots[slot.name] = replace(
            slot,
            stage=Stage.FORKING,
            incarnation=incarnation,
            page=page,
            since=now,
            give_up_at=now + fleet.policy.fork_grace,
            forks=slot.forks + 1,
        )
        out.append(Fork(slot.helper, incarnation, page, slot.queue, slot.name, slot.cells))


def _announce(fleet: Fleet, out: list[Action]) -> None:
    loaded = all(helper.ever_up for helper in fleet.helpers.values() if helper.app is not None)
    running = all(s.stage is Stage.RUNNING or s.last_exit for s in fleet.slots.values())
    if fleet.ready or not loaded or not running:
        return
    fleet.ready = True
    out.append(Ready())
    out.append(Say(events.DaemonReady(workers=len(fleet.slots))))


def _drain(fleet: Fleet, now: float, out: list[Action]) -> None:
    for slot in list(fleet.slots.values()):
        if slot.stage is not Stage.RUNNING or slot.killed:
            continue
        if slot.told_at is None:
            fleet.slots[slot.name] = replace(slot, told_at=now)
            out.append(Drain(slot.incarnation))
        elif now >= fleet.drain_by and now > slot.told_at:
            absorb.kill(fleet, slot, "stopped", (), out)


def _leave(fleet: Fleet, now: float, out: list[Action]) -> None:
    _end_preloaders(fleet, out)
    if any(slot.stage is not Stage.VACANT for slot in fleet.slots.values()):
        helpers.start_due(fleet, now, out, keeper_only=True)
        return
    fleet.ack_by = min(fleet.ack_by, now + fleet.policy.ack_grace)
    if fleet.dead and now < fleet.ack_by:
        helpers.start_due(fleet, now, out, keeper_only=True)
        return
    fleet.end_by = min(fleet.end_by, now + fleet.policy.helper_grace)
    for helper in list(fleet.helpers.values()):
        # With dead left the keeper cannot reach Redis, or it would have ended by itself. A release
        # that is cut off is gone on with by whoever comes next: nothing is worth waiting for.
        if helper.running and (fleet.dead or now >= fleet.end_by):
            _end(fleet, helper.name, out, hard=True)
    if not any(helper.running for helper in fleet.helpers.values()):
        fleet.ended = True
        out.append(Say(events.DaemonStopped(code=fleet.code, unreleased=len(fleet.dead))))
        out.append(Quit(fleet.code))


def _wants_keeper(fleet: Fleet) -> bool:
    return fleet.end_by == NEVER


def _end_preloaders(fleet: Fleet, out: list[Action]) -> None:
    at_once = fleet.stop is Stop.NOW
    for helper in list(fleet.helpers.values()):
        busy = any(
            slot.stage is Stage.FORKING and slot.helper == helper.name
            for slot in fleet.slots.values()
        )
        if helper.app is not None and helper.running and (at_once or not busy):
            _end(fleet, helper.name, out, hard=at_once)


def _end(fleet: Fleet, name: str, out: list[Action], *, hard: bool) -> None:
    helper = fleet.helpers[name]
    if helper.killed or (helper.told and not hard):
        return
    fleet.helpers[name] = replace(helper, told=True, killed=hard)
    out.append(EndHelper(name, hard))
