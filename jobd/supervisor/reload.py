"""Reloading without a gap: configuration and code are read again, and tried, beside what runs.

    asked ─► a reader lays the configuration down ─► new preloaders import the code ─► in force
                 └─ refused: nothing has changed, and the reason is told

Only when all of it has loaded does anything change: queues get their new settings and preloader, the
old preloaders end, and `layout` replaces the workers whose code or settings are other ones, each
when its successor has joined. Workers of which both are the same keep their processes. A reload that
is asked for while one is under way begins when that has ended; more of them are one.

Invariant: at most one reload is under way; a reload that is refused leaves queues, slots, children
and preloaders as they were. Called by jobd.supervisor.step and settle.
"""

from __future__ import annotations

from msgspec.structs import replace

from jobd.core import events
from jobd.supervisor import layout, scaling
from jobd.supervisor.fleet import NEVER, Fleet, Helper, Plan, Reload, Role, Stop
from jobd.supervisor.orders import Action, Adopt, Answer, Discard, PlanRead, ReloadAsked, Say

_STOPPING = "reload: the daemon is stopping; the one that is started next reads everything anew"


def asked(fleet: Fleet, seen: ReloadAsked, now: float, out: list[Action]) -> None:
    """Begin, or remember to begin when the one under way has ended."""
    clients = () if seen.client is None else (seen.client,)
    if fleet.stop is not Stop.NO:
        out += [Answer(client, _STOPPING) for client in clients]
        out.append(Say(events.ReloadRefused(why=_STOPPING)))
        return
    under_way = fleet.reload
    if under_way.number or not fleet.ready:
        fleet.reload = replace(
            under_way,
            again=True,
            again_everything=under_way.again_everything or seen.everything,
            again_clients=(*under_way.again_clients, *clients),
        )
        return
    _begin(fleet, clients, seen.everything, now, out)


def _begin(
    fleet: Fleet, clients: tuple[int, ...], everything: bool, now: float, out: list[Action]
) -> None:
    fleet.reload = Reload(
        number=fleet.generation + 1,
        attempt=fleet.reload.attempt + 1,
        since=now,
        everything=everything,
        clients=clients,
        # Those who wait for the last one's workers have got what they asked for when these are up.
        rolling=fleet.reload.rolling,
    )
    reader = reader_of(fleet.reload)
    fleet.helpers[reader] = Helper(name=reader, role=Role.READER, fresh=True)
    out.append(Say(events.ReloadBegun(generation=fleet.reload.number)))


def reader_of(reload: Reload) -> str:
    """Name the helper that reads the configuration for a reload."""
    return f"reader #{reload.attempt}"


def plan_read(fleet: Fleet, seen: PlanRead, out: list[Action]) -> None:
    """Have the new preloaders load."""
    reader = fleet.helpers.get(reader_of(fleet.reload))
    if not fleet.reload.number:
        out.append(Discard())  # it was given up meanwhile
        return
    if fleet.reload.plan is not None or reader is None:
        return
    fleet.reload = replace(fleet.reload, plan=seen.plan, note=seen.note)
    fleet.helpers[reader.name] = replace(reader, retired=True)
    for name, helper in seen.plan.preloaders.items():
        fleet.helpers[name] = replace(helper, fresh=True)


def settle(fleet: Fleet, now: float, out: list[Action]) -> None:
    """Take the new configuration over when all of it has loaded; begin the next reload."""
    under_way = fleet.reload
    if under_way.number and now >= due(fleet):
        late = fleet.policy.load_timeout
        plan = under_way.plan
        waited_for = reader_of(under_way) if plan is None else _unloaded(fleet, plan)
        why = (
            f"reload: {waited_for} is not ready after {late:g} s; expected it within "
            "daemon.boot_timeout; raise that, or see what the application does at import"
        )
        give_up(fleet, why, out)
    elif under_way.number and under_way.plan is not None and not _unloaded(fleet, under_way.plan):
        _take_over(fleet, under_way.plan, now, out)
    if not fleet.reload.number and fleet.reload.again and fleet.ready:
        begun = fleet.reload
        _begin(fleet, begun.again_clients, begun.again_everything, now, out)


def due(fleet: Fleet) -> float:
    """Tell when a reload has taken too long; NEVER when none is under way."""
    return fleet.reload.since + fleet.policy.load_timeout if fleet.reload.number else NEVER


def _unloaded(fleet: Fleet, plan: Plan) -> str:
    missing = [n for n in plan.preloaders if n not in fleet.helpers or not fleet.helpers[n].up]
    return ", ".join(missing)


def give_up(fleet: Fleet, why: str, out: list[Action]) -> None:
    """Change nothing: end what was tried out, and say why."""
    under_way = fleet.reload
    for name, helper in list(fleet.helpers.items()):
        if helper.fresh and not helper.retired:
            fleet.helpers[name] = replace(helper, retired=True)
    if not under_way.number:
        return
    out.append(Discard())
    out += [Answer(client, why) for client in under_way.clients]
    out.append(Say(events.ReloadRefused(why=why)))
    fleet.reload = replace(
        under_way, number=0, plan=None, clients=(), refused=why, everything=False
    )


def stopped(fleet: Fleet, out: list[Action]) -> None:
    """Give up all that is open: the daemon is on its way out."""
    open_still = fleet.reload
    give_up(fleet, _STOPPING, out)
    clients = (*open_still.again_clients, *(open_still.rolling or ()))
    if clients or open_still.again:
        out += [Answer(client, _STOPPING) for client in clients]
        fleet.reload = replace(fleet.reload, again=False, again_clients=(), rolling=None)


def _take_over(fleet: Fleet, plan: Plan, now: float, out: list[Action]) -> None:
    under_way = fleet.reload
    fleet.generation = under_way.number
    out.append(Adopt())
    _take_helpers(fleet, plan, under_way.everything)
    fleet.policy = plan.policy
    fleet.redis, fleet.namespace = plan.redis, plan.namespace
    before = fleet.queues
    fleet.queues = {q.name: scaling.carried(before.get(q.name), q) for q in plan.queues.values()}
    fleet.adopt_queues_of = plan.adopt_queues_of
    if plan.adopt_queues_of is not None:
        layout.adopt_queues(fleet, fleet.helpers[plan.adopt_queues_of], out)
    for queue in fleet.queues.values():
        if queue.name in before:
            layout.freshen(fleet, queue, now)
    layout.lay_out(fleet, now)
    kept = _unchanged(fleet)
    fleet.reload = replace(
        under_way,
        number=0,
        plan=None,
        everything=False,
        clients=(),
        rolling=(*(under_way.rolling or ()), *under_way.clients),
        kept=kept,
        refused=None,
    )
    said = events.Reloaded(
        generation=fleet.generation,
        kept=kept,
        replaced=len(fleet.slots) - kept,
        queues=tuple(fleet.queues),
    )
    out.append(Say(said))


def _take_helpers(fleet: Fleet, plan: Plan, everything: bool) -> None:
    for name, helper in list(fleet.helpers.items()):
        if helper.role is Role.KEEPER or name in plan.services:
            if plan.settings != fleet.settings:
                fleet.helpers[name] = replace(helper, outdated=helper.running)
        elif name in plan.preloaders:
            # Of code that nobody can look into before it is forked, another generation is another.
            anew = everything or not helper.preload
            code = f"{helper.code} #{fleet.generation}" if anew else helper.code
            fleet.helpers[name] = replace(helper, fresh=False, code=code)
        else:
            fleet.helpers[name] = replace(helper, retired=True)
    for name, service in plan.services.items():
        # One that is to end since an earlier reload had no use for it is wanted again.
        known = fleet.helpers.get(name, service)
        anew = known.outdated or (known.running and known.retired)
        fleet.helpers[name] = replace(known, retired=False, outdated=anew)
    fleet.settings = plan.settings


def _unchanged(fleet: Fleet) -> int:
    return sum(
        child is not None and child.stamp == fleet.stamp(fleet.queues[slot.queue])
        for slot in fleet.slots.values()
        for child in [fleet.child_in(slot)]
    )


def tell_rolled(fleet: Fleet, out: list[Action]) -> None:
    """Answer those who wait: the last outdated worker has a successor that has joined, or will not."""
    waiting = fleet.reload.rolling
    if waiting is None:
        return
    if layout.is_rolling(fleet):
        _tell_of_failures(fleet, waiting, out)
        return
    told: dict[str, object] = {
        "generation": fleet.generation, "kept": fleet.reload.kept, "workers": len(fleet.slots),
    }  # fmt: skip
    if fleet.reload.note:
        told["note"] = fleet.reload.note
    out += [Answer(client, None, told) for client in waiting]
    fleet.reload = replace(fleet.reload, rolling=None)
    out.append(Say(events.ReloadDone(generation=fleet.generation)))


def _tell_of_failures(fleet: Fleet, waiting: tuple[int, ...], out: list[Action]) -> None:
    failing = [name for name, queue in fleet.queues.items() if queue.gave_up]
    if failing:
        why = (
            f"reload: new workers of {', '.join(failing)} do not come up; expected them to join; "
            "those of the code before go on; see worker.died in the log"
        )
        out += [Answer(client, why) for client in waiting]
        fleet.reload = replace(fleet.reload, rolling=None, refused=why)
        out.append(Say(events.ReloadRefused(why=why)))
