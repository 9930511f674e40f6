"""How long tasks take, as far as the next claim needs to know it: a decaying maximum per task.

A mean would let one slow job in ten hide among nine fast ones; a maximum that never forgot would
let one slow job ruin the batches of a day.
"""

from __future__ import annotations

SLOW_US = 5_000
# Two batches are at hand at the most, one that runs and one asked for ahead: 50 ms of work.
BUDGET_US = 25_000
_FLOOR_US = 20.0
_DECAY = 0.97  # a run


class Costs:
    """The known tasks of one worker, in microseconds."""

    def __init__(self) -> None:
        self._known: dict[bytes, float] = {}
        self._runs: dict[bytes, list[float]] = {}  # since the last claim: longest, how many
        self._flat: list[bytes | int] = []

    def note(self, task: bytes, seconds: float) -> None:
        """Take in one run."""
        runs = self._runs.get(task)
        if runs is None:
            self._runs[task] = [seconds, 1]
            return
        runs[1] += 1
        if seconds > runs[0]:  # noqa: PLR1730  once a job: `max` would double what this costs
            runs[0] = seconds

    def flat(self) -> list[bytes | int]:
        """List the fast tasks for a claim: task, microseconds, ... A slow one is as if unknown."""
        if self._runs:
            for task, (longest, count) in self._runs.items():
                known = self._known.get(task, 0.0) * _DECAY**count
                self._known[task] = max(longest * 1e6, known, _FLOOR_US)
            self._runs.clear()
            self._flat = [
                part
                for task, spent in self._known.items()
                if spent <= SLOW_US
                for part in (task, int(spent) + 1)
            ]
        return self._flat
