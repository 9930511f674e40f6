"""How long tasks take, as far as the next claim needs to know it: a decaying maximum per task.

A mean would let one slow job in ten hide among nine fast ones; a maximum that never forgot would
let one slow job ruin the batches of a day.
"""

from __future__ import annotations

SLOW_US = 5_000
BUDGET_US = 50_000
_FLOOR_US = 20
_DECAY = 0.98


class Costs:
    """The known tasks of one worker, in microseconds."""

    def __init__(self) -> None:
        self._known: dict[bytes, float] = {}
        self._flat: list[bytes | int] = []
        self._stale = False

    def note(self, task: bytes, seconds: float) -> None:
        """Take in one run."""
        spent = seconds * 1e6
        known = self._known.get(task)
        if known is None:
            self._known[task] = max(spent, _FLOOR_US)
            self._stale = True
        elif spent >= known:
            self._known[task] = spent
            self._stale = True
        elif known > _FLOOR_US:
            self._known[task] = known * _DECAY
            self._stale = True

    def flat(self) -> list[bytes | int]:
        """List the fast tasks for a claim: task, microseconds, ... A slow one is as if unknown."""
        if self._stale:
            self._flat = [
                part
                for task, spent in self._known.items()
                if spent <= SLOW_US
                for part in (task, int(spent) + 1)
            ]
            self._stale = False
        return self._flat
