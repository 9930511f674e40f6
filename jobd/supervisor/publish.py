"""What others are told about the fleet: helpers by message, people and commands by state.json.

Both are the whole state each time, so one that is lost is healed by the next.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from jobd import __version__
from jobd.core.portrait import Growth
from jobd.seams.statefile import PoolState, SlotState, State
from jobd.supervisor.fleet import SERVICES, Child, Fleet, Helper, Queue, Role, Slot, Stop
from jobd.supervisor.growth import Grown, added


def message_for(role: Role, fleet: Fleet) -> dict[str, object] | None:
    """Make what a helper of this role is to know of the fleet; None when that is nothing."""
    if role is Role.KEEPER:
        return for_keeper(fleet)
    return for_service(fleet) if role in SERVICES else None


def for_keeper(fleet: Fleet) -> dict[str, object]:
    """Make the keeper's message. `stopping` means: release what is listed, then end."""
    return {
        "fleet": {
            "alive": [
                {"incarnation": child.incarnation, "queue": child.queue, "page": child.page}
                for child in fleet.alive()
            ],
            "dead": [
                {
                    "incarnation": dead.incarnation,
                    "queue": dead.queue,
                    "page": dead.page,
                    "board": dead.board,
                    "cause": dead.cause,
                    "how": dead.how,
                    "charged": list(dead.charged),
                }
                for dead in fleet.dead.values()
            ],
            "stopping": fleet.stop is not Stop.NO and not fleet.children,
        }
    }


def for_service(fleet: Fleet) -> dict[str, object]:
    """Make the message of web and alerter. That it comes, every second, says that the loop turns."""
    return {"daemon": {"ready": fleet.ready, "stopping": fleet.stop is not Stop.NO}}


def for_people(
    fleet: Fleet, *, pid: int, started_at: float, epoch: float = 0.0, where: str = ""
) -> State:
    """Make the content of state.json. `epoch` is when (unix) the monotonic clock was 0."""
    queues: dict[str, list[SlotState]] = {}
    for slot in fleet.slots.values():
        queues.setdefault(slot.queue, []).append(_slot(slot, fleet.child_in(slot)))
    grown: dict[str, list[Grown | None]] = {}
    for child in fleet.children.values():
        grown.setdefault(child.queue, []).append(child.grown)
    leavers = [_leaver(child) for child in fleet.children.values() if child.leaving]
    return State(
        pid=pid,
        started_at=started_at,
        nonce=fleet.nonce,
        scoreboard=Path(fleet.board).name,
        queues=queues,
        pools={name: _pool(fleet, q, grown.get(name, [])) for name, q in fleet.queues.items()},
        leavers=leavers,
        helpers={helper.name: _how(helper) for helper in fleet.helpers.values()},
        down={h.name: h.down_at for h in fleet.helpers.values() if _is_missed(h)},
        generation=fleet.generation,
        jobd=__version__,
        redis=fleet.redis,
        namespace=fleet.namespace,
        where=where,
        reload_at=epoch + fleet.reload.since if fleet.reload.since else None,
        reloading=bool(fleet.reload.number) or fleet.reload.rolling is not None,
        reload_error=fleet.reload.refused,
        stopping=fleet.stop is not Stop.NO,
        last_error=fleet.last_error,
    )


def _how(helper: Helper) -> str:
    if not helper.running:
        return "waiting"
    return "running" if helper.up else "starting"


def _is_missed(helper: Helper) -> bool:
    """What a reload tries out is not in use yet, nor is who was started for the first time just now."""
    return not (helper.up or helper.fresh or helper.retired) and bool(helper.down_at)


def _pool(fleet: Fleet, queue: Queue, living: Iterable[Grown | None]) -> PoolState:
    return PoolState(
        target=queue.target,
        min=queue.bounds.least,
        max=queue.bounds.most,
        asked=queue.scaling.asked,
        why=queue.scaling.why,
        gave_up=queue.gave_up,
        useless=queue.useless,
        growth=_growth(fleet, queue, living),
        exits=fleet.exits.get(queue.name, {}),
    )


def _growth(fleet: Fleet, queue: Queue, living: Iterable[Grown | None]) -> list[Growth]:
    tally = added(fleet.growth.get(queue.name, {}), *living)
    return [Growth(task=g.task, bytes=g.size, jobs=g.jobs) for g in tally.values()]


def _slot(slot: Slot, child: Child | None) -> SlotState:
    return SlotState(
        slot=slot.name,
        phase="vacant" if child is None else _phase(child),
        incarnation=None if child is None else child.incarnation,
        pid=None if child is None else child.pid or None,
        restarts=max(0, slot.forks - 1),
        last_exit=slot.last_exit,
        exits=slot.exits,
        memory=None if child is None else child.weight.private or None,
        resident=None if child is None else child.weight.rss or None,
    )


def _leaver(child: Child) -> SlotState:
    return SlotState(
        slot=child.slot,
        phase=_phase(child),
        incarnation=child.incarnation,
        pid=child.pid or None,
        restarts=child.fork - 1,
        leaving=child.leaving,
        memory=child.weight.private or None,
        resident=child.weight.rss or None,
    )


def _phase(child: Child) -> str:
    ending = child.told_at is not None or bool(child.killed)
    return "draining" if ending else str(child.stage)
