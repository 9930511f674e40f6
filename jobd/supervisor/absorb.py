"""The first half of a step: an observation goes into the slots. The second is `settle`.

Invariant: an observation about an incarnation no slot holds changes no slot, so what comes late or
twice is harmless. Called by jobd.supervisor.step only.
"""

from __future__ import annotations

import signal

from msgspec.structs import replace

from jobd.core import events
from jobd.seams.exits import FENCED, Exit
from jobd.supervisor import backoff
from jobd.supervisor.fleet import NEVER, Dead, Fleet, Slot, Stage, Stop
from jobd.supervisor.orders import (
    Action,
    Forget,
    Forked,
    Kill,
    KillStray,
    Look,
    Looked,
    Refused,
    Released,
    Say,
    TakeBack,
    Watch,
    WorkerExited,
)

# Looks further apart than this say nothing about the time between: the supervisor itself slept.
_LONGEST_GAP = 2.0
# The share of a look's period that makes two looks different looks.
_APART = 0.8


def forked(fleet: Fleet, seen: Forked, now: float, out: list[Action]) -> None:
    """Know the pid of a child from now on."""
    slot = fleet.slot_of(seen.incarnation)
    if slot is None:
        out.append(KillStray(seen.incarnation, seen.pid))
    elif slot.stage is Stage.FORKING:
        fleet.slots[slot.name] = replace(
            slot, stage=Stage.RUNNING, pid=seen.pid, since=now, give_up_at=NEVER
        )
        out.append(Watch(seen.incarnation, seen.pid))
        started = events.WorkerStarted(
            slot=slot.name, incarnation=seen.incarnation, pid=seen.pid, restarts=slot.forks - 1
        )
        out.append(Say(started))


def refused(fleet: Fleet, seen: Refused, now: float, out: list[Action]) -> None:
    """Empty a slot whose child never came to be: its page is free at once."""
    slot = fleet.slot_of(seen.incarnation)
    if slot is None or slot.stage is not Stage.FORKING:
        return
    fleet.free = (*fleet.free, slot.page)
    out.append(TakeBack(slot.page))
    fork_failed(fleet, slot, seen.why, now, out)


def fork_failed(fleet: Fleet, slot: Slot, why: str, now: float, out: list[Action]) -> None:
    """Empty a slot without a child, to be tried again after a pause that is never zero."""
    failures = max(1, slot.failures) + 1
    wait = _delay(fleet, slot.name, failures)
    fleet.slots[slot.name] = _vacant(slot, due=now + wait, failures=failures, last_exit="unborn")
    out.append(Say(events.ForkFailed(slot=slot.name, why=why, retry_in=wait)))


def worker_exited(fleet: Fleet, seen: WorkerExited, now: float, out: list[Action]) -> None:
    """Empty the slot of a child that has ended, and keep what it held for the keeper."""
    slot = fleet.slot_of(seen.incarnation)
    if slot is None:
        return
    cause = _cause(slot, seen)
    charged = seen.jobs if cause == "crash" else slot.charged
    fleet.dead[seen.incarnation] = Dead(
        incarnation=seen.incarnation,
        queue=slot.queue,
        page=slot.page,
        board=fleet.board,
        cause=cause,
        how=seen.how.words(),
        charged=charged,
    )
    failures = _failures(fleet, slot, seen, cause, now)
    wait = _delay(fleet, slot.name, failures)
    fleet.slots[slot.name] = _vacant(slot, due=now + wait, failures=failures, last_exit=cause)
    out.append(Say(_obituary(slot, seen, cause, charged, wait)))


def _cause(slot: Slot, seen: WorkerExited) -> str:
    if slot.killed:
        return slot.killed
    if seen.fenced or seen.how.code == FENCED:
        return "fenced"
    # TERM before the worker has its handler ends it as well as draining does: it holds nothing.
    asked = slot.told_at is not None
    return (
        "stopped" if asked and seen.how in (Exit(code=0), Exit(signal=signal.SIGTERM)) else "crash"
    )


def _failures(fleet: Fleet, slot: Slot, seen: WorkerExited, cause: str, now: float) -> int:
    if cause in ("stopped", "timeout", "cancelled"):
        return 0  # our doing, at a pace that deadlines and people limit: the replacement is not to blame
    return backoff.failures_after(
        slot.failures,
        uptime=now - slot.since,
        steady_after=fleet.policy.steady_after,
        useful=seen.settled > 0,
    )


def _obituary(
    slot: Slot, seen: WorkerExited, cause: str, charged: tuple[str, ...], wait: float
) -> events.Event:
    how = seen.how.words()
    if cause == "stopped":
        return events.WorkerStopped(slot=slot.name, incarnation=seen.incarnation, how=how)
    return events.WorkerDied(
        slot=slot.name,
        incarnation=seen.incarnation,
        cause=cause,
        how=how,
        jobs=charged,
        restart_in=wait,
    )


def looked(fleet: Fleet, seen: Looked, now: float, out: list[Action]) -> None:
    """Take in one reading of the scoreboard."""
    slept = now - fleet.looked_at > _LONGEST_GAP
    fleet.looked_at = now
    for look in seen.looks:
        slot = fleet.slot_of(look.incarnation)
        if look.pid and (slot is None or slot.stage is Stage.FORKING):
            _turned_up(fleet, look, now, out)
            slot = fleet.slot_of(look.incarnation)
        if slot is not None and slot.stage is Stage.RUNNING and not slot.killed:
            _judge(fleet, slot, look, slept, now, out)


def _turned_up(fleet: Fleet, look: Look, now: float, out: list[Action]) -> None:
    held = fleet.dead.get(look.incarnation)
    if fleet.slot_of(look.incarnation) is not None or (held is not None and held.unborn):
        forked(fleet, Forked(look.incarnation, look.pid), now, out)


def _judge(
    fleet: Fleet, slot: Slot, look: Look, slept: bool, now: float, out: list[Action]
) -> None:
    frozen_at = slot.frozen_at
    if look.frozen is not None:
        frozen_at = _frozen_since(slot, look.frozen, slept, now)
    seen_twice = slot.over & look.over
    apart = now - slot.over_at >= fleet.policy.look_every * _APART
    slot = replace(slot, joined=slot.joined or look.joined, frozen_at=frozen_at)
    if not seen_twice or apart:
        slot = replace(slot, over=look.over, over_at=now)
    fleet.slots[slot.name] = slot
    if look.fenced:
        kill(fleet, slot, "fenced", (), out)
    elif seen_twice and apart:
        late = seen_twice - look.condemned
        jobs = tuple(sorted(job for job, _ in late or seen_twice))
        kill(fleet, slot, "timeout" if late else "cancelled", jobs, out)
    elif frozen_at is not None and now - frozen_at > fleet.policy.lease:
        kill(fleet, slot, "stopped", (), out)


def _frozen_since(slot: Slot, frozen: bool, slept: bool, now: float) -> float | None:
    if not frozen:
        return None
    return now if slot.frozen_at is None or slept else slot.frozen_at


def kill(fleet: Fleet, slot: Slot, cause: str, charged: tuple[str, ...], out: list[Action]) -> None:
    """End a running child for a cause, once."""
    if slot.stage is not Stage.RUNNING or slot.killed:
        return
    fleet.slots[slot.name] = replace(slot, killed=cause, charged=charged)
    out.append(Kill(slot.incarnation, cause))
    said = events.WorkerKilled(
        slot=slot.name, incarnation=slot.incarnation, cause=cause, jobs=charged
    )
    out.append(Say(said))


def released(fleet: Fleet, seen: Released, out: list[Action]) -> None:
    """Take back the pages of the acknowledged."""
    for incarnation in seen.incarnations:
        gone = fleet.dead.pop(incarnation, None)
        if gone is None:
            continue
        if gone.board == fleet.board:
            fleet.free = (*fleet.free, gone.page)
            out.append(TakeBack(gone.page))
        elif all(other.board != gone.board for other in fleet.dead.values()):
            out.append(Forget(gone.board))


def stop_asked(fleet: Fleet, at_once: bool, now: float, out: list[Action]) -> None:
    """Go one step further on the way out."""
    if at_once or fleet.stop is not Stop.NO:
        if fleet.stop is not Stop.NOW:
            out.append(Say(events.DaemonStopping()))
        fleet.stop = Stop.NOW
        return
    fleet.stop = Stop.DRAIN
    fleet.drain_by = now + fleet.policy.drain_timeout
    out.append(Say(events.DaemonDraining(grace=fleet.policy.drain_timeout)))


def _vacant(slot: Slot, *, due: float, failures: int, last_exit: str) -> Slot:
    return Slot(
        name=slot.name,
        queue=slot.queue,
        helper=slot.helper,
        cells=slot.cells,
        forks=slot.forks,
        due=due,
        failures=failures,
        last_exit=last_exit,
    )


def _delay(fleet: Fleet, name: str, failures: int) -> float:
    policy = fleet.policy
    return backoff.delay(name, failures, base=policy.backoff_base, cap=policy.backoff_cap)
