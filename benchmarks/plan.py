"""How large every measure is. Built by the command line, read by the measures.

Invariant: a drain run is sized by time, not by a fixed count, so that a system of 4,000 jobs/s and
one of 400,000 are both measured for about as long; ``--jobs`` overrides that for all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

#: Jobs at the head of a backlog that are not timed: they cover the start of all workers.
WARM_SECONDS = 0.4
LARGEST_BACKLOG = 400_000


@dataclass(frozen=True, slots=True)
class Backlog:
    """A backlog of ``warm`` untimed jobs and then ``count`` timed ones."""

    warm: int
    count: int

    @property
    def total(self) -> int:
        return self.warm + self.count


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of one invocation; counts are jobs unless the name says otherwise.

    Attributes:
        retries: how often a drain run is taken again because others kept the machine busy.
        patience: how often all of that together, so that a busy machine ends the suite in time too.
    """

    runs: int = 3
    retries: int = 2
    patience: int = 12
    drain_seconds: float = 2.0
    drain_jobs: int | None = None
    single_jobs: int = 5_000
    bulk_jobs: int = 50_000
    pickup_jobs: int = 200
    pickup_interval_ms: int = 20
    mixed_bursts: int = 70
    imports: int = 15
    waiting_jobs: int = 20_000
    idle_workers: int = 4
    idle_seconds: float = 2.0
    concurrent_seconds: float = 3.0
    preload_runs: int = 3
    preload_kills: int = 200
    trim_records: int = 1_000_000
    trim_backlog: int = 1_500_000
    trim_pairs: int = 10
    crowd_jobs: int = 1_000_000
    crowd_dead: int = 100_000
    page_looks: int = 120
    cold_starts: int = 5
    viewers: int = 20
    viewer_pairs: int = 40
    nap_jobs: Mapping[int, int] = field(default_factory=lambda: {1: 1_500, 10: 200, 100: 25})

    @property
    def slices(self) -> int:
        """Pairs of slices in a comparison of two that may be a few percent apart."""
        return self.runs * 20

    @property
    def short_runs(self) -> int:
        """Runs of a measure whose run is short, and whose noise is therefore large."""
        return self.runs * 3

    @property
    def pickup_runs(self) -> int:
        """Runs of idle pick-up: a median of medians needs a few."""
        return self.runs + self.runs // 2 + 1

    def backlog(self, rate: int, workers: int) -> Backlog:
        """The backlog for a system that does roughly ``rate`` jobs/s with one worker."""
        warm = int(rate * workers * WARM_SECONDS)
        if self.drain_jobs is not None:
            return Backlog(warm=min(warm, self.drain_jobs), count=self.drain_jobs)
        count = int(rate * workers * self.drain_seconds)
        return Backlog(warm=min(warm, LARGEST_BACKLOG // 4), count=min(count, LARGEST_BACKLOG))


def quick(runs: int = 1) -> Plan:
    """A plan that tries everything in a few minutes; its figures are too noisy to quote."""
    return Plan(
        runs=runs,
        retries=0,
        drain_seconds=0.5,
        single_jobs=1_000,
        bulk_jobs=10_000,
        pickup_jobs=60,
        mixed_bursts=30,
        imports=5,
        waiting_jobs=5_000,
        idle_seconds=1.0,
        preload_runs=1,
        preload_kills=24,
        trim_records=100_000,
        trim_backlog=500_000,
        trim_pairs=2,
        crowd_jobs=100_000,
        crowd_dead=10_000,
        page_looks=20,
        cold_starts=1,
        viewer_pairs=4,
        nap_jobs={1: 300, 10: 50, 100: 8},
    )
