"""Alternates systems round by round, and keeps what failed. Used by every measure.

Invariant: sample i of every system was taken in round i, so samples of one index may be divided.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from benchmarks.bench import Bench
from benchmarks.errors import RunFailed
from benchmarks.figures import Spread, ratios, spread
from benchmarks.systems.base import System

Sample = TypeVar("Sample")


@dataclass
class Series(Generic[Sample]):
    """Samples of several systems, by system key and round; None where a run failed.

    Attributes:
        systems: the rows, in order, those that are missing here left out.
        skipped: names of rows left out, each with its reason.
        failures: one sentence a failed run.
    """

    systems: list[System]
    samples: dict[str, list[Sample | None]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def column(self, system: System, figure: Callable[[Sample], float]) -> list[float | None]:
        """One figure of one system over the rounds; empty when it was not measured."""
        return [None if s is None else figure(s) for s in self.samples.get(system.key, [])]

    def spread(self, system: System, figure: Callable[[Sample], float]) -> Spread | None:
        return spread(self.column(system, figure))

    def ratio(
        self, ours: System, theirs: System, figure: Callable[[Sample], float]
    ) -> Spread | None:
        """ours / theirs, round by round."""
        return ratios(self.column(ours, figure), self.column(theirs, figure))


def alternate(
    bench: Bench,
    label: str,
    systems: Sequence[System],
    take: Callable[[System], Sample],
    show: Callable[[Sample], str],
    runs: int | None = None,
) -> Series[Sample]:
    """Take a sample of each chosen system in turn, as many times over as the plan says, or as `runs`.

    Args:
        label: what is measured, for the progress lines.
        take: one run; a RunFailed it raises is recorded and the others go on.
        show: a sample in a few words.
    """
    runs, say = runs or bench.plan.runs, bench.say
    missing = [(system, system.missing()) for system in systems if bench.wants(system)]
    series: Series[Sample] = Series(systems=[system for system, why in missing if why is None])
    series.skipped = [f"{system.name}: skipped, {why}" for system, why in missing if why]
    for line in series.skipped:
        say(f"{label}: {line}")
    for number in range(1, runs + 1):
        # Whoever comes second finds the machine as the first has left it: each is first in turn.
        for system in series.systems if number % 2 else series.systems[::-1]:
            sample: Sample | None = None
            try:
                sample = take(system)
            except RunFailed as error:
                say(f"{label} {number}/{runs}  {system.name}: FAILED, {error}")
                series.failures.append(f"{label}, {system.name}, round {number}: {error}")
            else:
                say(f"{label} {number}/{runs}  {system.name}: {show(sample)}")
            series.samples.setdefault(system.key, []).append(sample)
    return series
