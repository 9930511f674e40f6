"""The supervisor's helpers, keeper and preloaders: what their messages and ends mean.

Invariant: the end of a helper never touches a worker. A helper that has never come up ends the
daemon, when its application does not load or after `load_attempts` tries; one that once was up is
restarted for ever. Called by jobd.supervisor.step only.
"""

from __future__ import annotations

from msgspec.structs import replace

from jobd.core import events
from jobd.core.errors import EX_CONFIG, EX_SOFTWARE, EX_UNAVAILABLE
from jobd.supervisor import backoff
from jobd.supervisor.fleet import Fleet, Helper, Slot, Stage, Stop
from jobd.supervisor.orders import Action, HelperExited, Loaded, LoadFailed, Say, StartHelper

# Ends of a helper that has never come up which tell how the daemon ends.
_TELLING = (EX_CONFIG, EX_UNAVAILABLE)


def loaded(fleet: Fleet, seen: Loaded, out: list[Action]) -> None:
    """Take orders to this preloader from now on, for the queues its app declares too."""
    helper = came_up(fleet, seen.helper)
    if helper is None:
        return
    out.append(Say(events.AppLoaded(app=helper.app or "", queues=seen.queues)))
    if fleet.adopt_queues_of != helper.name:
        return
    served = {slot.queue for slot in fleet.slots.values()}
    for queue in seen.queues:
        if queue not in served:
            name = f"{queue}.1"
            fleet.slots[name] = Slot(name=name, queue=queue, helper=helper.name)
            out.append(Say(events.QueueAdded(queue=queue, processes=1)))
    if not fleet.slots:
        out.append(Say(events.NothingToServe(app=helper.app or "")))


def came_up(fleet: Fleet, name: str) -> Helper | None:
    """Note that a helper works; None when there is no such helper, or it has ended."""
    helper = fleet.helpers.get(name)
    if helper is None or not helper.running:
        return None
    if not helper.up:
        helper = fleet.helpers[name] = replace(helper, up=True, ever_up=True)
    return helper


def load_failed(fleet: Fleet, seen: LoadFailed, out: list[Action]) -> None:
    """End the daemon if this is its start; else keep what runs and say so."""
    fleet.last_error = seen.why
    out.append(Say(events.AppFailed(why=seen.why)))
    helper = fleet.helpers.get(seen.helper)
    if helper is not None and not helper.ever_up:
        fail(fleet, EX_CONFIG)


def fail(fleet: Fleet, code: int) -> None:
    """End the daemon for a reason of its own, unless it is ending already."""
    if fleet.stop is Stop.NO:
        fleet.stop = Stop.NOW
        fleet.code = code


def exited(fleet: Fleet, seen: HelperExited, now: float, out: list[Action]) -> None:
    """Plan a helper's restart."""
    helper = fleet.helpers.get(seen.helper)
    if helper is None or not helper.running:
        return
    how = seen.how.words()
    _hurry_orphans(fleet, helper.name, now)
    expected = helper.told or (fleet.stop is not Stop.NO and seen.how.code == 0)
    policy = fleet.policy
    # One that spent its time loading, in vain, has not lasted.
    uptime = now - helper.since if helper.up else 0.0
    failures = backoff.failures_after(
        helper.failures, uptime=uptime, steady_after=policy.steady_after, useful=False
    )
    # The leases of all workers hang on the keeper: however often it ends, it is soon there again.
    cap = policy.backoff_cap if helper.app else min(policy.backoff_cap, policy.lease / 6)
    wait = backoff.delay(helper.name, failures, base=policy.backoff_base, cap=cap)
    fleet.helpers[helper.name] = replace(
        helper, running=False, up=False, due=now + wait, failures=failures, last_exit=how
    )
    if expected:
        return
    out.append(Say(events.HelperEnded(helper=helper.name, how=how, restart_in=wait)))
    if helper.ever_up:
        return
    if seen.how.code == EX_CONFIG or failures >= policy.load_attempts:
        fleet.last_error = fleet.last_error or _never_up(helper, how)
        fail(fleet, seen.how.code if seen.how.code in _TELLING else EX_SOFTWARE)


def _never_up(helper: Helper, how: str) -> str:
    if helper.app is None:
        return f"{helper.name}: {how} before it was up; expected it to run; see the log for why"
    return (
        f"app: {helper.app!r} does not load: its process ended with {how}; expected a module that "
        f"imports; try: python -c 'import {helper.app.partition(':')[0]}'"
    )


def _hurry_orphans(fleet: Fleet, helper: str, now: float) -> None:
    """Orders the preloader took with it may still turn up, but only shortly."""
    for slot in list(fleet.slots.values()):
        if slot.stage is Stage.FORKING and slot.helper == helper:
            soon = min(slot.give_up_at, now + fleet.policy.orphan_grace)
            fleet.slots[slot.name] = replace(slot, give_up_at=soon)


def start_due(fleet: Fleet, now: float, out: list[Action], *, keeper_only: bool) -> None:
    """Start what is not running and may."""
    for helper in list(fleet.helpers.values()):
        if helper.running or now < helper.due or (keeper_only and helper.app is not None):
            continue
        fleet.helpers[helper.name] = replace(
            helper, running=True, up=False, since=now, told=False, killed=False
        )
        out.append(StartHelper(helper.name))
        out.append(Say(events.HelperStarted(helper=helper.name)))
