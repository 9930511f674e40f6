"""What becomes of those who make no progress: their stacks are asked for, then they are killed.

    look ─► verdict (jobd.supervisor.progress) ─► Dump ─► Dumped, or a second ─► SIGKILL ─► replaced

A worker whose loop hears SIGTERM and that has jobs running is replaced instead: it may finish them.
Invariant: nobody is asked for stacks twice for one verdict. Part of absorbing and settling; called by
jobd.supervisor.looks, settle and step.
"""

from __future__ import annotations

from msgspec.structs import replace

from jobd.core.progress_events import Hung
from jobd.supervisor import absorb, helpers, progress
from jobd.supervisor.fleet import NEVER, SERVICES, Child, Fleet, Helper, Role, Stage, Stop
from jobd.supervisor.orders import Action, Answer, Beat, Dump, Look, Say, StacksAsked, Tell
from jobd.supervisor.progress import Verdict

# For the stacks to come; who does not say where it is is killed all the same.
DUMP_GRACE = 1.0


def beat(fleet: Fleet, seen: Beat, now: float) -> None:
    """Take in a helper's beat; a keeper's says what it does for leases."""
    if helper := fleet.helpers.get(seen.helper):
        voice = progress.heard(helper.voice, now, seen.turns, seen.rounds)
        fleet.helpers[helper.name] = replace(helper, voice=voice)


def store_heard(fleet: Fleet, good: bool, now: float) -> None:
    """Take in whether Redis answers the keeper."""
    fleet.store = progress.heard_of_store(fleet.store, good, now)


def look_at_worker(
    fleet: Fleet, child: Child, look: Look, slept: bool, now: float, out: list[Action]
) -> None:
    """Judge a running worker by one look at its page."""
    sight = progress.Sight(
        since=child.since,
        beat=look.beat,
        asked=look.asked,
        busy=look.busy,
        cells=look.cells,
        joined=child.joined,
        leaving=bool(child.leaving) or child.told_at is not None or fleet.stop is not Stop.NO,
        frozen=child.frozen_at is not None,
    )
    queue = fleet.queues.get(child.queue)
    spans = _spans(fleet, queue.boot_timeout if queue is not None else None)
    doubt, verdict = progress.worker(child.doubt, sight, fleet.store, spans, slept=slept, now=now)
    if child.condemned:
        return
    fleet.children[child.incarnation] = child = replace(child, doubt=doubt)
    if verdict is None:
        return
    out.append(Say(Hung(who=child.slot, cause=verdict.cause, why=verdict.why)))
    out.append(Dump(child.incarnation, verdict.cause))
    if verdict.gentle:
        absorb.leave(fleet, child, verdict.cause, now)
    else:
        fleet.children[child.incarnation] = replace(
            child, condemned=verdict.cause, dump_by=now + DUMP_GRACE
        )


def look_at_helpers(fleet: Fleet, slept: bool, now: float, out: list[Action]) -> None:
    """Judge helpers by what was heard of them, as often as workers are looked at."""
    for helper in list(fleet.helpers.values()):
        if not helper.running:
            continue
        if slept:
            helper = fleet.helpers[helper.name] = replace(  # noqa: PLW2901
                helper, voice=progress.after_sleep(helper.voice, now)
            )
            continue
        if helper.told or helper.killed or helper.condemned or helper.retired:
            continue
        if verdict := _helper_verdict(fleet, helper, now):
            _condemn(fleet, helper, verdict, now, out)


def _helper_verdict(fleet: Fleet, helper: Helper, now: float) -> Verdict | None:
    spans = _spans(fleet)
    if helper.fresh or helper.role is Role.READER:
        return None  # a reload has its own time limit
    if not helper.up:
        ours = helper.role is not Role.PRELOADER
        return progress.loading(helper.since, spans, now, ours=ours)
    if helper.role is Role.KEEPER:
        return progress.keeper(helper.voice, fleet.store, spans, now)
    if helper.role in SERVICES:
        return progress.service(helper.voice, spans, now, probed=helper.role is Role.WEB)
    ordered_at = min(
        (
            child.since
            for child in fleet.children.values()
            if child.stage is Stage.FORKING and child.helper == helper.name
        ),
        default=NEVER,
    )
    return progress.preloader(helper.voice, ordered_at, spans, now)


def _condemn(fleet: Fleet, helper: Helper, verdict: Verdict, now: float, out: list[Action]) -> None:
    fleet.helpers[helper.name] = replace(helper, condemned=verdict.cause, dump_by=now + DUMP_GRACE)
    if helper.app is not None and not helper.ever_up:
        fleet.last_error = (
            f"app: {helper.app!r}: {verdict.why}; expected it to import within boot_timeout; the "
            "stacks in the log show where it is; correct the application, or raise daemon.boot_timeout"
        )
    out.append(Say(Hung(who=helper.name, cause=verdict.cause, why=verdict.why)))
    out.append(Dump(helper.name, verdict.cause))


def stacks_asked(fleet: Fleet, seen: StacksAsked, out: list[Action]) -> None:
    """Ask those for their stacks whom somebody wants to know of."""
    workers = [child for child in fleet.children.values() if child.works]
    names = [child.incarnation for child in workers if seen.slot in (None, child.slot)]
    error = None
    if seen.slot is None:
        names += [helper.name for helper in fleet.helpers.values() if helper.running]
    elif not names:
        known = ", ".join(fleet.slots) or "none"
        error = f"slot: {seen.slot!r} has no worker; expected one of: {known}"
    out += [Dump(name, "asked for") for name in names]
    if seen.client is None:
        return
    if seen.tell and error is None:
        out.append(Tell(seen.client, tuple(names)))
    else:
        out.append(Answer(seen.client, error, {"processes": len(names)}))


def dumped(fleet: Fleet, who: str, now: float) -> None:
    """Wait no longer: the stacks have come, or never will."""
    if (child := fleet.children.get(who)) and child.condemned:
        fleet.children[who] = replace(child, dump_by=now)
    if (helper := fleet.helpers.get(who)) and helper.condemned:
        fleet.helpers[who] = replace(helper, dump_by=now)


def settle(fleet: Fleet, now: float, out: list[Action]) -> None:
    """Kill the condemned whose time has come."""
    for child in list(fleet.children.values()):
        if child.condemned and child.works and now >= child.dump_by:
            absorb.kill(fleet, child, child.condemned, (), out)
    for helper in list(fleet.helpers.values()):
        if helper.condemned and helper.running and not helper.killed and now >= helper.dump_by:
            helpers.kill(fleet, helper, out)


def due(fleet: Fleet) -> float:
    """Tell when somebody is to be killed."""
    waiting = [c.dump_by for c in fleet.children.values() if c.condemned and c.works]
    waiting += [
        h.dump_by for h in fleet.helpers.values() if h.condemned and h.running and not h.killed
    ]
    return min(waiting, default=NEVER)


def _spans(fleet: Fleet, boot_timeout: float | None = None) -> progress.Spans:
    policy = fleet.policy
    return progress.Spans(
        hang_after=policy.hang_after,
        boot_timeout=boot_timeout or policy.load_timeout,
        lease=policy.lease,
    )
