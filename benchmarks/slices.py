"""Two codes side by side in slices of a fraction of a second: while one runs, the other is stopped.

For differences of a few percent on a machine that does other things too: what disturbs one slice
disturbs its neighbour, and the ratio of the two is what counts. Each side has processes and a Redis of
its own, and is stopped and continued by signals, all of it. Either Redis has the first core that this
process may use, either code the last: on one core or on two, a round trip is not the same.
"""

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.errors import RunFailed
from benchmarks.processes import Command, Group
from benchmarks.servers import RedisServer
from benchmarks.systems.base import Site

#: After it is continued a side gets this long to come into its stride, then it is measured.
LEAD_SECONDS = 0.03
SLICE_SECONDS = 0.15
START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor microseconds a job: of all of the side's processes, of the one among them that had the
    most, and of its Redis."""

    ours_us: float
    busiest_us: float
    redis_us: float


@dataclass(frozen=True, slots=True)
class _Look:
    """What had been done by then, and the seconds it took: ours by process."""

    jobs: int
    ours: Mapping[int, float]
    redis: float


class Side:
    """One code at work. `count` reads how many jobs it has done so far."""

    def __init__(
        self, site: Site, server: RedisServer, commands: Sequence[Command], count: Callable[[], int]
    ) -> None:
        self._group = Group(commands, site.directory / "side.log", site.directory)
        self._server = server
        self._count = count
        self._first = _Look(0, {}, 0.0)

    def start(self, stack: ExitStack) -> None:
        """Start it, wait until it works, and stop it."""
        stack.enter_context(self._group)
        cores = sorted(os.sched_getaffinity(0))
        self._server.stay_on(cores[0])
        self._group.stay_on(cores[-1])
        stack.callback(self._group.signal, signal.SIGCONT)
        deadline = time.monotonic() + START_SECONDS
        begun = self._count()
        while self._count() == begun:
            self._group.check_alive()
            if time.monotonic() > deadline:
                raise RunFailed(
                    f"did nothing within {START_SECONDS:.0f} s: {self._group.log_tail()}"
                )
            time.sleep(0.005)
        time.sleep(1.0)  # whatever starting still costs
        self._group.signal(signal.SIGSTOP)
        self._first = self._look()

    def slice(self) -> float:
        """Let it run for a slice; its rate in jobs per second."""
        self._group.signal(signal.SIGCONT)
        time.sleep(LEAD_SECONDS)
        begun, before = time.monotonic(), self._count()
        time.sleep(SLICE_SECONDS)
        span, done = time.monotonic() - begun, self._count() - before
        self._group.check_alive()
        self._group.signal(signal.SIGSTOP)
        return done / span

    def cost(self) -> Cost:
        """What a job has cost since `start`."""
        first, now = self._first, self._look()
        ours = [spent - first.ours.get(pid, 0.0) for pid, spent in now.ours.items()]
        each = 1e6 / (now.jobs - first.jobs)
        return Cost(sum(ours) * each, max(ours) * each, (now.redis - first.redis) * each)

    def _look(self) -> _Look:
        return _Look(
            self._count(), self._group.cpu_by_process(), self._server.process_cpu_seconds()
        )


def alternate_slices(one: Side, other: Side, pairs: int) -> list[tuple[float, float]]:
    """Rates of both, pair by pair, in an order that changes; without pairs in which one stood still.

    Raises RunFailed: a side has ended, or they stood still too often.
    """
    rates = []
    for number in range(pairs):
        if number % 2:
            second, first = other.slice(), one.slice()
        else:
            first, second = one.slice(), other.slice()
        if first and second:
            rates.append((first, second))
    if len(rates) < pairs * 0.8:
        raise RunFailed(f"in {pairs - len(rates)} of {pairs} pairs of slices a side did nothing")
    return rates
