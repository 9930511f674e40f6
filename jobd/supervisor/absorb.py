"""The first half of a step: an observation goes into the children. The second is `settle`.

Invariant: an observation about an incarnation that is no child changes nothing, so what comes late
or twice is harmless. Called by jobd.supervisor.step only.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable

from msgspec.structs import replace

from jobd.core import events
from jobd.seams.exits import FENCED, RECYCLED, Exit, Reason
from jobd.supervisor import backoff, budget, growth, progress
from jobd.supervisor.fleet import NEVER, Child, Dead, Fleet, Queue, Stage, Stop
from jobd.supervisor.orders import (
    Action,
    Forget,
    Forked,
    Kill,
    KillStray,
    Refused,
    Released,
    Say,
    TakeBack,
    Watch,
    WorkerExited,
)

# Ends that are our doing, at a pace that deadlines and people limit: the replacement is not to blame.
_OURS = ("stopped", "recycled", "timeout", "cancelled")
# Ends that the running jobs answer for.
_ACCUSING = ("crash", "memory", "oom", "hung")


def heard(fleet: Fleet, name: str, now: float) -> None:
    """Take in that a helper has said anything."""
    if helper := fleet.helpers.get(name):
        fleet.helpers[name] = replace(helper, voice=progress.heard(helper.voice, now))


def forked(fleet: Fleet, seen: Forked, now: float, out: list[Action]) -> None:
    """Know the pid of a child from now on."""
    child = fleet.children.get(seen.incarnation)
    if child is None:
        out.append(KillStray(seen.incarnation, seen.pid))
    elif child.stage is Stage.FORKING:
        fleet.children[child.incarnation] = replace(
            child, stage=Stage.RUNNING, pid=seen.pid, since=now, give_up_at=NEVER
        )
        heard(fleet, child.helper, now)
        out.append(Watch(seen.incarnation, seen.pid))
        started = events.WorkerStarted(
            slot=child.slot, incarnation=seen.incarnation, pid=seen.pid, restarts=child.fork - 1
        )
        out.append(Say(started))


def refused(fleet: Fleet, seen: Refused, now: float, out: list[Action]) -> None:
    """Forget a child that never came to be: its page is free at once."""
    child = fleet.children.get(seen.incarnation)
    if child is None or child.stage is not Stage.FORKING:
        return
    heard(fleet, child.helper, now)
    fleet.free = (*fleet.free, child.page)
    out.append(TakeBack(child.page))
    fork_failed(fleet, child, seen.why, now, out)


def fork_failed(fleet: Fleet, child: Child, why: str, now: float, out: list[Action]) -> None:
    """Forget a child without a process; its slot is tried again after a pause that is never zero."""
    del fleet.children[child.incarnation]
    slot = fleet.slots.get(child.slot)
    wait = 0.0
    if slot is not None and slot.child == child.incarnation:
        failures = max(1, slot.failures) + 1
        wait = _delay(fleet, slot.name, failures)
        fleet.slots[slot.name] = replace(
            slot, child="", due=now + wait, failures=failures, last_exit="unborn"
        )
    out.append(Say(events.ForkFailed(slot=child.slot, why=why, retry_in=wait)))


def forget(fleet: Fleet, child: Child) -> None:
    """Forget a child that is not waited for any more, and leave its slot empty."""
    del fleet.children[child.incarnation]
    slot = fleet.slots.get(child.slot)
    if slot is not None and slot.child == child.incarnation:
        fleet.slots[slot.name] = replace(slot, child="", last_exit="unborn")


def worker_exited(fleet: Fleet, seen: WorkerExited, now: float, out: list[Action]) -> None:
    """Forget a child that has ended, and keep what it held for the keeper."""
    child = fleet.children.pop(seen.incarnation, None)
    if child is None:
        return
    cause = _cause(child, seen)
    charged = seen.jobs if cause in _ACCUSING else child.charged
    fleet.dead[seen.incarnation] = Dead(
        incarnation=seen.incarnation,
        queue=child.queue,
        page=child.page,
        board=fleet.board,
        cause=cause,
        how=seen.how.words(),
        charged=charged,
    )
    if seen.grown is not None and child.queue in fleet.queues:
        before = fleet.growth.get(child.queue, {})
        fleet.growth[child.queue] = growth.added(before, seen.grown)
    counted = fleet.exits.get(child.queue, {})
    fleet.exits[child.queue] = counted | {cause: counted.get(cause, 0) + 1}
    useful = max(seen.ran, child.ran) > 0
    _charge_queue(fleet, child, cause, useful, now, out)
    wait = _vacate(fleet, child, cause, useful, now)
    out.append(Say(_obituary(child, seen, cause, charged, wait)))


def _vacate(fleet: Fleet, child: Child, cause: str, useful: bool, now: float) -> float:
    """Empty the slot, if the child was not a leaver; give the time until another is forked."""
    slot = fleet.slots.get(child.slot)
    if slot is None:
        return 0.0
    exits = slot.exits | {cause: slot.exits.get(cause, 0) + 1}
    slot = fleet.slots[slot.name] = replace(slot, last_exit=cause, exits=exits)
    if slot.child != child.incarnation:
        return 0.0
    failures = _failures(fleet, slot.failures, child, cause, useful, now)
    wait = _delay(fleet, slot.name, failures)
    fleet.slots[slot.name] = replace(slot, child="", due=now + wait, failures=failures)
    queue = fleet.queues.get(child.queue)
    return max(wait, queue.fork_at - now) if queue is not None else wait


def _cause(child: Child, seen: WorkerExited) -> str:
    if child.killed:
        return child.killed
    if seen.fenced or seen.how.code == FENCED:
        return "fenced"
    # By itself, for a reason, with nothing begun: a task that ends its process with this code is not.
    if seen.how.code == RECYCLED and seen.reason and not seen.jobs:
        return "recycled"
    # TERM before the worker has its handler ends it as well as draining does: it holds nothing.
    asked, ended_well = child.told_at is not None, seen.how == Exit(code=0) and not seen.jobs
    if asked and (ended_well or seen.how == Exit(signal=signal.SIGTERM)):
        return "recycled" if child.leaving else "stopped"
    # Somebody else's TERM: it has handed back what it had, and another takes its place.
    if seen.drained and ended_well:
        return "recycled"
    if seen.oom and seen.how == Exit(signal=signal.SIGKILL):
        return "oom"
    return "crash" if seen.booted else "boot"


def _failures(fleet: Fleet, before: int, child: Child, cause: str, useful: bool, now: float) -> int:
    if cause in _OURS:
        return 0
    return backoff.failures_after(
        before, uptime=now - child.since, steady_after=fleet.policy.steady_after, useful=useful
    )


def _charge_queue(
    fleet: Fleet, child: Child, cause: str, useful: bool, now: float, out: list[Action]
) -> None:
    queue = fleet.queues.get(child.queue)
    if queue is None or cause in _OURS or cause == "fenced":
        return
    if useful or now - child.since >= budget.LASTED or _has_proved(fleet, queue):
        prove(fleet, queue, out)
        return
    after = fleet.queues[queue.name] = budget.after_useless_end(queue, now)
    if after.gave_up and not queue.gave_up:
        every = budget.probe_every(queue.name)
        gave_up = events.QueueGaveUp(
            queue=queue.name, failures=after.useless, cause=cause, retry_in=every
        )
        out.append(Say(gave_up))


def _has_proved(fleet: Fleet, queue: Queue) -> bool:
    """Somebody works: whatever ends others, it is not what all of the queue's workers do."""
    return any(
        child.queue == queue.name and child.works and child.ran and not child.leaving
        for child in fleet.children.values()
    )


def prove(fleet: Fleet, queue: Queue, out: list[Action]) -> None:
    """Take in that workers of this queue do come up and run jobs."""
    after = budget.after_use(queue)
    if after is queue:
        return
    fleet.queues[queue.name] = after
    if queue.gave_up:
        out.append(Say(events.QueueRecovered(queue=queue.name)))


def _obituary(
    child: Child, seen: WorkerExited, cause: str, charged: tuple[str, ...], wait: float
) -> events.Event:
    how = seen.how.words()
    if cause in ("stopped", "recycled"):
        return events.WorkerStopped(
            slot=child.slot,
            incarnation=seen.incarnation,
            how=how,
            why=child.leaving or _reason(seen) or cause,
        )
    return events.WorkerDied(
        slot=child.slot,
        incarnation=seen.incarnation,
        cause=cause,
        how=how,
        jobs=charged,
        tokens=_tokens(charged, zip(seen.jobs, seen.tokens, strict=False)),
        restart_in=wait,
    )


def _tokens(charged: tuple[str, ...], runs: Iterable[tuple[str, int]]) -> tuple[int, ...]:
    """Give the claims of the jobs that are to blame, of those whose runs were seen."""
    known = dict(runs)
    return tuple(known[job] for job in charged if job in known)


def _reason(seen: WorkerExited) -> str:
    known = seen.reason in set(Reason)
    return Reason(seen.reason).word if known and seen.reason else ""


def kill(
    fleet: Fleet, child: Child, cause: str, charged: tuple[str, ...], out: list[Action]
) -> None:
    """End a running child for a cause, once."""
    if not child.works:
        return
    fleet.children[child.incarnation] = replace(child, killed=cause, charged=charged)
    out.append(Kill(child.incarnation, cause))
    said = events.WorkerKilled(
        slot=child.slot,
        incarnation=child.incarnation,
        cause=cause,
        jobs=charged,
        tokens=_tokens(charged, child.over),
    )
    out.append(Say(said))


def leave(fleet: Fleet, child: Child, why: str, now: float) -> None:
    """Make a child a leaver: its slot is filled anew, and it drains when that one has joined."""
    slot = fleet.slots.get(child.slot)
    if slot is not None and slot.child == child.incarnation:
        fleet.slots[slot.name] = replace(slot, child="", due=now, failures=0)
    fleet.children[child.incarnation] = replace(child, leaving=child.leaving or why)


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


def _delay(fleet: Fleet, name: str, failures: int) -> float:
    policy = fleet.policy
    return backoff.delay(name, failures, base=policy.backoff_base, cap=policy.backoff_cap)
