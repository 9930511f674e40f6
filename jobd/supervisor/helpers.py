"""The supervisor's helpers - keeper, preloaders, services -: what their messages and ends mean.

Invariant: the end of a helper never touches a worker. A helper that has never come up ends the
daemon, when its application does not load or after `load_attempts` tries; one that once was up is
restarted for ever; so is a service, whether it was or not. What a reload tries out (jobd.supervisor.reload) ends nothing but itself. Called
by jobd.supervisor.step only.
"""

from __future__ import annotations

from msgspec.structs import replace

from jobd.core import events
from jobd.core.errors import EX_CONFIG, EX_SOFTWARE, EX_UNAVAILABLE
from jobd.supervisor import backoff, layout, reload
from jobd.supervisor.fleet import NEVER, SERVICES, Fleet, Helper, Role, Stage, Stop
from jobd.supervisor.orders import (
    Action,
    EndHelper,
    HelperExited,
    Loaded,
    LoadFailed,
    Say,
    StartHelper,
)
from jobd.supervisor.progress import Voice

# Ends of a helper that has never come up which tell how the daemon ends.
_TELLING = (EX_CONFIG, EX_UNAVAILABLE)
# For one that was up before it ended: a probe that waits for it gives up after a few seconds.
_SERVICE_AWAY = 1.0


def loaded(fleet: Fleet, seen: Loaded, out: list[Action]) -> None:
    """Take orders to this preloader from now on, for the queues its app declares too."""
    helper = came_up(fleet, seen.helper)
    if helper is None:
        return
    code = seen.code or helper.code
    helper = fleet.helpers[helper.name] = replace(helper, code=code, queues=seen.queues)
    if helper.fresh:
        return  # what comes of it is seen when all of the reload has loaded
    out.append(Say(events.AppLoaded(app=helper.app or "", queues=seen.queues)))
    if fleet.adopt_queues_of == helper.name:
        layout.adopt_queues(fleet, helper, out)


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
    helper = fleet.helpers.get(seen.helper)
    if helper is None or helper.retired:
        return
    if helper.fresh:
        reload.give_up(fleet, seen.why, out)
        return
    fleet.last_error = seen.why
    out.append(Say(events.AppFailed(why=seen.why)))
    if not helper.ever_up:
        fail(fleet, EX_CONFIG)


def fail(fleet: Fleet, code: int) -> None:
    """End the daemon for a reason of its own, unless it is ending already."""
    if fleet.stop is Stop.NO:
        fleet.stop = Stop.NOW
        fleet.code = code


def exited(fleet: Fleet, seen: HelperExited, now: float, out: list[Action]) -> None:
    """Plan a helper's restart, or forget it."""
    helper = fleet.helpers.get(seen.helper)
    if helper is None or not helper.running:
        return
    how = seen.how.words()
    _hurry_orphans(fleet, helper.name, now)
    if helper.retired:
        del fleet.helpers[helper.name]
        return
    if helper.fresh:
        reload.give_up(fleet, seen.why or never_up(helper, how), out)
        fleet.helpers.pop(helper.name, None)
        return
    down_at = now if helper.up else helper.down_at
    if helper.outdated:
        fleet.helpers[helper.name] = replace(
            helper, running=False, up=False, down_at=down_at, outdated=False, due=now, last_exit=how
        )
        return
    _restart(fleet, helper, seen, how, now, out)


def _restart(
    fleet: Fleet, helper: Helper, seen: HelperExited, how: str, now: float, out: list[Action]
) -> None:
    expected = helper.told or (fleet.stop is not Stop.NO and seen.how.code == 0)
    policy = fleet.policy
    # One that spent its time loading, in vain, has not lasted.
    uptime = now - helper.since if helper.up else 0.0
    failures = backoff.failures_after(
        helper.failures, uptime=uptime, steady_after=policy.steady_after, useful=False
    )
    # The leases of all workers hang on the keeper, and who asks for our health does not wait long:
    # however often these end, they are soon there again.
    soon = helper.role in (Role.KEEPER, *SERVICES)
    cap = min(policy.backoff_cap, policy.lease / 6) if soon else policy.backoff_cap
    if helper.up and helper.role in SERVICES:
        cap = min(cap, _SERVICE_AWAY)  # it shows that its start is no waste
    wait = backoff.delay(helper.name, failures, base=policy.backoff_base, cap=cap)
    fleet.helpers[helper.name] = replace(
        helper,
        running=False,
        up=False,
        down_at=now if helper.up else helper.down_at,
        due=now + wait,
        failures=failures,
        last_exit=how,
    )
    if expected:
        return
    out.append(Say(events.HelperEnded(helper=helper.name, how=how, restart_in=wait)))
    # Services serve people: whatever keeps them from coming up, work goes on without them.
    if helper.ever_up or helper.role in SERVICES:
        return
    if seen.how.code == EX_CONFIG or failures >= policy.load_attempts:
        fleet.last_error = fleet.last_error or seen.why or never_up(helper, how)
        fail(fleet, seen.how.code if seen.how.code in _TELLING else EX_SOFTWARE)


def never_up(helper: Helper, how: str) -> str:
    """Say why a helper that ended before it was up is no good, and what to try."""
    if helper.app is None:
        return f"{helper.name}: {how} before it was up; expected it to run; see the log for why"
    return (
        f"app: {helper.app!r} does not load: its process ended with {how}; expected a module that "
        f"imports; try: python -c 'import {helper.app.partition(':')[0]}'"
    )


def _hurry_orphans(fleet: Fleet, helper: str, now: float) -> None:
    """Orders the preloader took with it may still turn up, but only shortly."""
    for child in list(fleet.children.values()):
        if child.stage is Stage.FORKING and child.helper == helper:
            soon = min(child.give_up_at, now + fleet.policy.orphan_grace)
            fleet.children[child.incarnation] = replace(child, give_up_at=soon)


def start_due(fleet: Fleet, now: float, out: list[Action], *, keeper_only: bool) -> None:
    """Start what is not running and may."""
    for helper in list(fleet.helpers.values()):
        other = keeper_only and helper.role is not Role.KEEPER
        if helper.running or helper.retired or now < helper.due or other:
            continue
        fleet.helpers[helper.name] = replace(
            helper,
            running=True,
            up=False,
            since=now,
            down_at=helper.down_at or now,
            told=False,
            end_by=NEVER,
            killed=False,
            voice=Voice(now),
            condemned="",
            dump_by=NEVER,
        )
        out.append(StartHelper(helper.name))
        out.append(Say(events.HelperStarted(helper=helper.name)))


def end_unwanted(fleet: Fleet, now: float, out: list[Action]) -> None:
    """End helpers that are of no use any more, and those whose configuration is an old one.

    Of these a keeper has nothing under way that the next one would not do; services answer.
    """
    for helper in list(fleet.helpers.values()):
        if helper.retired and not helper.running:
            del fleet.helpers[helper.name]
        elif helper.running and helper.outdated:
            end(fleet, helper.name, now, out, hard=helper.role not in SERVICES)
        elif helper.running and helper.retired and not _is_forking(fleet, helper):
            end(fleet, helper.name, now, out, hard=not helper.ever_up)


def end_preloaders(fleet: Fleet, now: float, out: list[Action]) -> None:
    """On the way out: end what forks and reads, as soon as no order is open there."""
    at_once = fleet.stop is Stop.NOW
    for helper in list(fleet.helpers.values()):
        if helper.role in (Role.KEEPER, *SERVICES) or not helper.running:
            continue
        if at_once or not _is_forking(fleet, helper):
            end(fleet, helper.name, now, out, hard=at_once)


def end_services(fleet: Fleet, now: float, out: list[Action]) -> None:
    """On the way out, when the last worker has gone: until then they tell how the drain goes."""
    for helper in list(fleet.helpers.values()):
        if helper.role in SERVICES and helper.running:
            end(fleet, helper.name, now, out, hard=False)


def end_overdue(fleet: Fleet, now: float, out: list[Action]) -> None:
    """Kill services that were told to end and do not."""
    for helper in list(fleet.helpers.values()):
        if helper.running and now >= helper.end_by:
            end(fleet, helper.name, now, out, hard=True)


def _is_forking(fleet: Fleet, helper: Helper) -> bool:
    return any(
        child.stage is Stage.FORKING and child.helper == helper.name
        for child in fleet.children.values()
    )


def kill(fleet: Fleet, helper: Helper, out: list[Action]) -> None:
    """Kill one that makes no progress: its end is one that nobody has asked for."""
    fleet.helpers[helper.name] = replace(helper, killed=True)
    out.append(EndHelper(helper.name, True))


def end(fleet: Fleet, name: str, now: float, out: list[Action], *, hard: bool) -> None:
    """Tell a helper to end, or kill it: each once. A service has `service_grace` for its end."""
    helper = fleet.helpers[name]
    if helper.killed or (helper.told and not hard):
        return
    waits = helper.role in SERVICES and not hard
    end_by = now + fleet.policy.service_grace if waits else NEVER
    fleet.helpers[name] = replace(helper, told=True, killed=hard, end_by=end_by)
    out.append(EndHelper(name, hard))
