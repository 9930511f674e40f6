"""Is the plain path as fast as it was at another commit: the same work by either code, in slices.

Both sides have the same interpreter and libraries and a Redis of their own, and only the package jobd
differs. A ratio is taken between two slices that follow each other. Beside the rates stand processor
times, which others on the machine disturb less.
"""

import statistics
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.bench import Bench
from benchmarks.errors import RunFailed
from benchmarks.figures import middle
from benchmarks.outcome import Bar, Outcome, Table
from benchmarks.servers import RedisServer
from benchmarks.slices import LEAD_SECONDS, SLICE_SECONDS, Cost, Side, alternate_slices
from benchmarks.systems.base import Order, System

LEAST = 0.95
START_JOBS_SECONDS = 3.0
TALLY = ("HGET", "jobd:{bench}:tally", "completed|noop")
LINE = ("ZCARD", "jobd:{bench}:waiting")


@dataclass(frozen=True, slots=True)
class Work:
    """One thing to compare; `rate` is roughly its jobs/s, and sizes what there is to do."""

    what: str
    rate: int
    drains: bool
    kind: str = "fill"


WORKS = (
    Work("no-op jobs, 1 worker, results kept", 100_000, drains=True),
    Work("adding one by one", 20_000, drains=False, kind="single"),
    Work("adding in bulk", 150_000, drains=False, kind="bulk"),
)


def measure(bench: Bench) -> Outcome:
    """No-op jobs with one worker and results kept; adding one by one; adding in bulk."""
    assert bench.before is not None, "the command line names the commit"
    outcome, rows = Outcome(), []
    for work in WORKS:
        try:
            rates, costs = _compare(bench, work, (bench.systems.jobd, bench.before))
        except RunFailed as error:
            outcome.failures.append(f"{work.what}: {error}")
            continue
        ratio = middle([now / before for now, before in rates])
        rows.append(
            [
                work.what,
                f"{statistics.median(now for now, _ in rates):,.0f}",
                f"{statistics.median(before for _, before in rates):,.0f}",
                ratio.text(3, " x"),
                f"{costs[0].ours_us / costs[1].ours_us:.3f} x",
                f"{costs[0].busiest_us / costs[1].busiest_us:.3f} x",
                f"{costs[0].redis_us / costs[1].redis_us:.3f} x",
            ]
        )
        bench.say(f"{work.what}: {ratio.text(3, ' x')}")
        outcome.bars.append(
            Bar(f"{work.what}, against {bench.before.name}", ">=", LEAST, "x", ratio)
        )
    outcome.tables.append(
        Table(
            title=f"This code against {bench.before.name}",
            intro=(
                f"{bench.plan.slices} pairs of slices of {SLICE_SECONDS:g} s, in an order that changes, "
                "each side with a Redis of its own, the other stopped meanwhile. Ratios are this code / "
                "that one: of rates the median of all pairs (and their middle half), of processor time a "
                "job over all slices, where less is better: of all processes (a daemon's others cost by "
                "the second, not by the job), of the busiest of them alone, of Redis."
            ),
            columns=["", "jobs/s", "before", "ratio", "CPU", "busiest", "Redis CPU"],
            rows=rows,
        )
    )
    return outcome


def _compare(
    bench: Bench, work: Work, systems: tuple[System, System]
) -> tuple[list[tuple[float, float]], list[Cost]]:
    bench.say(f"{work.what}: preparing both sides")
    seconds = bench.plan.slices * (SLICE_SECONDS + LEAD_SECONDS) + START_JOBS_SECONDS
    jobs = int(work.rate * seconds)
    with ExitStack() as stack:
        sides = []
        for system in systems:
            server = stack.enter_context(RedisServer(bench.scratch / f"redis-{system.key}"))
            server.go_first()
            site = stack.enter_context(bench.site(server))
            if work.drains:
                bench.produce(system, site, Order(kind="fill", task="noop", count=jobs))
                commands, count = system.workers(site, 1), _counter(server, TALLY)
            else:
                order = Order(
                    kind="single" if work.kind == "single" else "bulk", task="noop", count=jobs
                )
                commands, count = [system.producer(site, order)], _counter(server, LINE)
            sides.append(Side(site, server, commands, count))
        for side in sides:
            side.start(stack)
        rates = alternate_slices(sides[0], sides[1], bench.plan.slices)
        return rates, [side.cost() for side in sides]


def _counter(server: RedisServer, words: tuple[str, ...]) -> Callable[[], int]:
    return lambda: int(server.client.execute_command(*words) or 0)
