"""What others are told about the fleet: the keeper by message, people and commands by state.json.

Both are the whole state each time, so one that is lost is healed by the next.
"""

from __future__ import annotations

from pathlib import Path

from jobd.seams.statefile import SlotState, State
from jobd.supervisor.fleet import Fleet, Slot, Stage, Stop


def for_keeper(fleet: Fleet) -> dict[str, object]:
    """Make the keeper's message. `stopping` means: release what is listed, then end."""
    gone = all(slot.stage is Stage.VACANT for slot in fleet.slots.values())
    return {
        "fleet": {
            "alive": [
                {"incarnation": slot.incarnation, "queue": slot.queue, "page": slot.page}
                for slot in fleet.alive()
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
            "stopping": fleet.stop is not Stop.NO and gone,
        }
    }


def for_people(fleet: Fleet, *, pid: int, started_at: float) -> State:
    """Make the content of state.json."""
    queues: dict[str, list[SlotState]] = {}
    for slot in fleet.slots.values():
        queues.setdefault(slot.queue, []).append(_slot(slot))
    return State(
        pid=pid,
        started_at=started_at,
        nonce=fleet.nonce,
        scoreboard=Path(fleet.board).name,
        queues=queues,
        helpers={h.name: "running" if h.running else "waiting" for h in fleet.helpers.values()},
        stopping=fleet.stop is not Stop.NO,
        last_error=fleet.last_error,
    )


def _slot(slot: Slot) -> SlotState:
    ending = slot.told_at is not None or bool(slot.killed)
    return SlotState(
        slot=slot.name,
        phase="draining" if ending else str(slot.stage),
        incarnation=slot.incarnation or None,
        pid=slot.pid or None,
        restarts=max(0, slot.forks - 1),
        last_exit=slot.last_exit,
    )
