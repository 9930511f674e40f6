"""Jobs a second, from what workers have settled by then and by now. Used by `jobd top`.

It costs nobody anything: the counters stand on the scoreboard. Pure; times are the caller's, of any
clock that does not go back, each the instant at which the counter was read on its host.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

# Rates are of the last seconds: long enough to be steady, short enough to follow.
_SPAN = 6.0
# Instants of other hosts are known through the age of their words, give or take a round trip.
_SAME = 0.05


class _Sample(NamedTuple):
    at: float
    settled: int


class Rates:
    """Remembers the counters of the last seconds, by worker."""

    def __init__(self) -> None:
        self._samples: dict[str, deque[_Sample]] = {}
        self._queues: dict[str, str] = {}

    def note(self, incarnation: str, queue: str, settled: int, at: float) -> None:
        """Take in one counter. The same instant again, and one before it, say nothing."""
        samples = self._samples.setdefault(incarnation, deque())
        self._queues[incarnation] = queue
        if samples and at <= samples[-1].at + _SAME:
            return
        samples.append(_Sample(at, settled))
        while len(samples) > 2 and samples[1].at <= at - _SPAN:
            samples.popleft()

    def forget_all_but(self, incarnations: set[str]) -> None:
        """Forget who is no more."""
        for gone in self._samples.keys() - incarnations:
            del self._samples[gone], self._queues[gone]

    def by_worker(self) -> dict[str, float]:
        """Give jobs a second of each worker that was seen twice."""
        return {
            incarnation: (samples[-1].settled - samples[0].settled)
            / (samples[-1].at - samples[0].at)
            for incarnation, samples in self._samples.items()
            if len(samples) > 1
        }

    def by_queue(self) -> dict[str, float]:
        """Add them up."""
        found: dict[str, float] = {}
        for incarnation, rate in self.by_worker().items():
            queue = self._queues[incarnation]
            found[queue] = found.get(queue, 0.0) + rate
        return found
