"""How long tasks take, as far as the next claim needs to know it: a decaying maximum per task.

A mean would let one slow job in ten hide among nine fast ones; a maximum that never forgot would
let one slow job ruin the batches of a day.
"""

from __future__ import annotations

import threading

from jobd.broker.bites import SETTLE_BYTES
from jobd.worker.growth import Growth

SLOW_US = 5_000
# Two batches are at hand at the most, one that runs and one asked for ahead: 50 ms of work.
BUDGET_US = 25_000
_FLOOR_US = 20.0
# A byte of a result: a batch's are to be no more than goes at once, or it is settled in several trips.
_BYTE_US = BUDGET_US / SETTLE_BYTES
_DECAY = 0.97  # a run
_SUSPECT_US = 10e6  # some 250 runs later it is as if that had not been


class Costs:
    """The known tasks of one worker, in microseconds. `growth` hears of all that has run."""

    def __init__(self) -> None:
        self.growth: Growth | None = None
        self._known: dict[bytes, float] = {}
        self._runs: dict[bytes, list[float]] = {}  # since the last claim: longest, how many
        self._ran: set[bytes] = set()
        self._flat: list[bytes | int] = []
        self._lanes = 1

    def note(self, task: bytes, seconds: float) -> None:
        """Take in one run."""
        runs = self._runs.get(task)
        if runs is None:
            self._runs[task] = [seconds, 1]
            return
        runs[1] += 1
        if seconds > runs[0]:  # noqa: PLR1730  once a job: `max` would double what this costs
            runs[0] = seconds

    def weigh(self, task: bytes, size: int) -> None:
        """Take in how large a run's result was: that takes time as well, later."""
        runs = self._runs.setdefault(task, [0.0, 0])
        runs[0] = max(runs[0], size * _BYTE_US / 1e6)

    def touch(self, task: bytes) -> None:
        """Say that a task's code has run, though none of its jobs did: `take_ran` tells of it."""
        self._ran.add(task)

    def take_ran(self) -> set[bytes]:
        """Give the tasks of which code has run since this was last asked."""
        self._take_in()
        ran, self._ran = self._ran, set()
        return ran

    def suspect(self, task: bytes) -> None:
        """Have a task claimed alone for its next few hundred runs: it does things to its process."""
        self._known[task] = _SUSPECT_US
        self._lanes = 0  # what is spelled is not true any more

    def flat(self, lanes: int = 1) -> list[bytes | int]:
        """List the fast tasks for a claim: task, microseconds, ... A slow one is as if unknown.

        With several lanes it is their common pace that counts: where ten run, one is free ten times
        as often, whether they wait for something or share a processor.
        """
        self._take_in()
        if lanes != self._lanes:
            self._lanes = lanes
            self._flat = [
                part
                for task, spent in self._known.items()
                if spent <= SLOW_US * lanes
                for part in (task, int(spent / lanes) + 1)
            ]
        return self._flat

    def _take_in(self) -> None:
        if not self._runs:
            return
        if self.growth is not None:
            self.growth.note(self._runs)
        for task, (longest, count) in self._runs.items():
            known = self._known.get(task, 0.0) * _DECAY**count
            self._known[task] = max(longest * 1e6, known, _FLOOR_US)
            self._ran.add(task)
        self._runs.clear()
        self._lanes = 0  # as above


class SharedCosts(Costs):
    """The same where jobs run in several threads."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def note(self, task: bytes, seconds: float) -> None:
        with self._lock:
            super().note(task, seconds)

    def weigh(self, task: bytes, size: int) -> None:
        with self._lock:
            super().weigh(task, size)

    def take_ran(self) -> set[bytes]:
        with self._lock:
            return super().take_ran()

    def flat(self, lanes: int = 1) -> list[bytes | int]:
        with self._lock:
            return super().flat(lanes)
