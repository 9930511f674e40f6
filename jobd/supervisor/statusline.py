"""The one line that `systemctl status` shows: workers, and what keeps them from their work. Pure."""

from __future__ import annotations

from jobd.supervisor.fleet import NEVER, Fleet, Stage, Stop

# Names of queues that are written out; of more, their number.
_NAMED = 5


def status_line(fleet: Fleet) -> str:
    """Put the state of a fleet into a line."""
    running = sum(child.stage is Stage.RUNNING for child in fleet.children.values())
    parts = [f"{_doing(fleet)}: {running} of {len(fleet.slots)} workers"]
    # A keeper that says nothing is none that says so: only what it has said of Redis counts.
    if fleet.store.heard_at > -NEVER and fleet.store.good_since == NEVER:
        parts.append("Redis does not answer")
    gave_up = [name for name, queue in fleet.queues.items() if queue.gave_up]
    if gave_up:
        parts.append(f"gave up: {_names(gave_up)}")
    if fleet.reload.refused is not None:
        parts.append("the last reload was refused")
    return "; ".join(parts)


def _doing(fleet: Fleet) -> str:
    if fleet.stop is not Stop.NO:
        return "stopping"
    if fleet.reload.number or fleet.reload.rolling is not None:
        return "reloading"
    return "running" if fleet.ready else "starting"


def _names(names: list[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
