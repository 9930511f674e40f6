"""How many processes each queue has: the facts are gathered here, and the decision is carried out.

    keeper ── what waits ──┐
    scoreboard ── pace ────┼─► facts ─► scale.decide ─► a target per queue; `layout` makes the slots
    people ── set by hand ─┘

Invariant: a target is changed here only, and by a reload; only queues whose number may vary cost
anything. Figures that are old are none: without Redis nobody is taken on or sent away. Called by
jobd.supervisor.step, looks and reload.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from jobd.core import events
from jobd.core.processes import MOST_PROCESSES
from jobd.supervisor.fleet import Child, Fleet, Queue, Stop
from jobd.supervisor.orders import Action, Answer, Counted, Say, ScaleAsked
from jobd.supervisor.pace import Sight, after, mean_over
from jobd.supervisor.scale import Decision, Load, decide

# Figures come once a second. Older ones say nothing any more.
_OLD = 5.0


def counted(fleet: Fleet, seen: Counted, now: float, out: list[Action]) -> None:
    """Take in what the keeper has counted, and decide."""
    for name, waiting in seen.queues.items():
        if queue := fleet.queues.get(name):
            scaling = replace(queue.scaling, waiting=waiting, counted_at=now)
            fleet.queues[name] = replace(queue, scaling=scaling)
    _decide(fleet, now, out)


def looked(fleet: Fleet, before: Mapping[str, Child], now: float) -> None:
    """Take in how fast workers work, of the children before this look and after it."""
    elastic = [queue for queue in fleet.queues.values() if queue.bounds.elastic]
    by_queue = _by_queue(fleet) if elastic else {}
    for queue in elastic:
        staff = [child for child in by_queue.get(queue.name, ()) if _serves(child)]
        sight = Sight(
            working=sum(1 for child in staff if child.busy),
            cells=queue.cells,
            busy=sum(child.busy for child in staff),
            settled=sum(
                child.ran - before[child.incarnation].ran
                for child in staff
                if child.incarnation in before
            ),
        )
        _measure(fleet, queue, sight, now)


def _by_queue(fleet: Fleet) -> dict[str, list[Child]]:
    found: dict[str, list[Child]] = {}
    for child in fleet.children.values():
        found.setdefault(child.queue, []).append(child)
    return found


def _measure(fleet: Fleet, queue: Queue, sight: Sight, now: float) -> None:
    known = queue.scaling
    waiting = known.waiting
    waits = _is_fresh(queue, now) and waiting.due > 0 and not waiting.paused and not waiting.limited
    over = mean_over(queue.bounds.within)
    pace = after(known.pace, sight, now, waits=waits, over=over)
    fleet.queues[queue.name] = replace(queue, scaling=replace(known, pace=pace))


def _serves(child: Child) -> bool:
    return child.joined and child.works and not child.leaving


def _is_fresh(queue: Queue, now: float) -> bool:
    return now - queue.scaling.counted_at <= _OLD


# --- by hand ---


def asked(fleet: Fleet, seen: ScaleAsked, now: float, out: list[Action]) -> None:
    """Set a number by hand, or leave it to the load again; without a queue's name, for each of them."""
    error = _refusal(fleet, seen)
    if error is None:
        for queue in _meant(fleet, seen.queue):
            scaling = replace(queue.scaling, asked=_number(queue, seen))
            fleet.queues[queue.name] = replace(queue, scaling=scaling)
        _decide(fleet, now, out, at_once=True)
    if seen.client is not None:
        out.append(Answer(seen.client, error, {} if error else _told(fleet, seen)))


def _told(fleet: Fleet, seen: ScaleAsked) -> dict[str, int]:
    by_load = seen.to is None and seen.by is None
    return {} if seen.queue is None or by_load else {"to": fleet.queues[seen.queue].target}


def _meant(fleet: Fleet, name: str | None) -> list[Queue]:
    """A queue that is served elsewhere only is nobody's business here."""
    return [q for q in fleet.queues.values() if name in (None, q.name) and q.bounds.most > 0]


def _refusal(fleet: Fleet, seen: ScaleAsked) -> str | None:
    if fleet.stop is not Stop.NO:
        return (
            "scale: the daemon is stopping; the one that is started next goes by its configuration"
        )
    if seen.queue is None:
        return None
    if not _meant(fleet, seen.queue):
        names = ", ".join(queue.name for queue in _meant(fleet, None)) or "none"
        return f"queue: {seen.queue!r}; expected one that is served here: {names}"
    if seen.to is not None and not 1 <= seen.to <= MOST_PROCESSES:
        return (
            f"count: {seen.to}; expected 1 to {MOST_PROCESSES}; "
            f"to have nothing run, `jobd queues pause {seen.queue}`"
        )
    more = (seen.to or 0) - fleet.queues[seen.queue].target
    if more > len(fleet.free):
        return f"count: {seen.to}; expected at most {len(fleet.free)} more; raise it in the configuration"
    return None


def _number(queue: Queue, seen: ScaleAsked) -> int | None:
    if seen.by is None:
        return seen.to
    # A step stays within what the configuration allows, where it allows a choice.
    bounds = queue.bounds
    least, most = (bounds.least, bounds.most) if bounds.elastic else (1, MOST_PROCESSES)
    before = queue.scaling.asked or queue.target
    return min(max(before + seen.by, least, 1), most)


# --- deciding ---


def _decide(fleet: Fleet, now: float, out: list[Action], *, at_once: bool = False) -> None:
    varies = any(q.bounds.elastic or q.scaling.asked is not None for q in fleet.queues.values())
    if fleet.stop is not Stop.NO or not (varies or at_once):
        return
    by_queue = _by_queue(fleet)
    loads = [_load(queue, by_queue.get(queue.name, []), now) for queue in fleet.queues.values()]
    for decision in decide(loads, most=fleet.policy.max_processes, now=now):
        _apply(fleet, decision, out)


def _load(queue: Queue, ours: list[Child], now: float) -> Load:
    bounds, scaling = queue.bounds, queue.scaling
    waiting = scaling.waiting
    staff = [child for child in ours if _serves(child)]
    return Load(
        queue=queue.name,
        least=bounds.least,
        most=bounds.most,
        within=bounds.within,
        weight=bounds.weight,
        target=queue.target,
        ready=len(staff),
        leaving=sum(1 for child in ours if child.leaving),
        cells=queue.cells,
        busy=sum(child.busy for child in staff),
        used=scaling.pace.used,
        rate=scaling.pace.rate(queue.cells),
        due=waiting.due if _is_fresh(queue, now) else None,
        oldest=waiting.oldest,
        paused=waiting.paused,
        limited=waiting.limited,
        hosts=waiting.hosts,
        asked=scaling.asked,
        past=scaling.past,
    )


def _apply(fleet: Fleet, decision: Decision, out: list[Action]) -> None:
    queue = fleet.queues[decision.queue]
    scaling = replace(queue.scaling, past=decision.past, why=decision.why)
    fleet.queues[queue.name] = replace(queue, target=decision.target, scaling=scaling)
    if decision.target != queue.target:
        said = events.QueueScaled(
            queue=queue.name, processes=decision.target, before=queue.target, why=decision.why
        )
        out.append(Say(said))


# --- over a reload ---


def carried(before: Queue | None, planned: Queue) -> Queue:
    """Give a queue of a new configuration what the load has made of it; what was set by hand ends."""
    if before is None or not planned.bounds.elastic:
        return planned
    bounds = planned.bounds
    target = min(max(before.target, bounds.least), bounds.most)
    return replace(planned, target=target, scaling=replace(before.scaling, asked=None))
