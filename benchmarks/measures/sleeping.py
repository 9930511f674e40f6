"""How much of a worker's time is task time, for tasks that sleep 1, 10 and 100 ms."""

from functools import partial

from benchmarks.bench import Bench
from benchmarks.drain import wait_until_finished
from benchmarks.figures import show
from benchmarks.outcome import Bar, Outcome, Table
from benchmarks.rounds import Series, alternate
from benchmarks.stamps import FIRST, LAST
from benchmarks.systems import floors
from benchmarks.systems.base import Order, System

START_SECONDS = 60.0
DRAIN_SECONDS = 120.0
WARM_PART = 0.1


def measure(bench: Bench) -> Outcome:
    """A backlog of sleeping tasks, one worker process that runs one at a time."""
    peers = bench.systems
    rows: list[System] = [peers.jobd, peers.bullmq_serial, peers.dramatiq, floors.ONE_BY_ONE]
    outcome = Outcome()
    found: dict[int, Series[float]] = {}
    for milliseconds in bench.plan.nap_jobs:
        found[milliseconds] = alternate(
            bench,
            f"sleep of {milliseconds} ms",
            rows,
            partial(_take, bench, milliseconds),
            lambda share: f"{share:.2f} % is task time",
        )
        outcome.failures += found[milliseconds].failures
        value = found[milliseconds].spread(peers.jobd, lambda share: share)
        what = f"share of task time, sleeps of {milliseconds} ms"
        outcome.bars.append(Bar(what, ">=", 95, "%", value))
    outcome.tables.append(_table(found))
    return outcome


def _take(bench: Bench, milliseconds: int, system: System) -> float:
    """Percent of the time between the start of the first and the end of the last task."""
    count = bench.plan.nap_jobs[milliseconds]
    with bench.site(bench.server, "nap") as site:
        order = Order(
            kind="fill",
            task="nap",
            count=count,
            warm=max(1, int(count * WARM_PART)),
            extra={"seconds": milliseconds / 1000},
        )
        bench.produce(system, site, order)
        stamps = bench.stamps(site)
        with bench.workers(system, site, 1) as group:
            first = stamps.wait(FIRST, START_SECONDS, group.check_alive)
            last = stamps.wait(LAST, DRAIN_SECONDS, group.check_alive)
            wait_until_finished(system, bench.server, group)
    return last.extra / (last.at - first.at) * 100


def _table(found: dict[int, Series[float]]) -> Table:
    some = next(iter(found.values()))
    rows = [
        [
            system.name,
            *(show(series.spread(system, lambda share: share), 2) for series in found.values()),
        ]
        for system in some.systems
    ]
    return Table(
        title="Share of the worker's time that is task time, in percent",
        intro="One worker process, one task at a time; a task's time is measured inside it.",
        columns=["system", *(f"sleep {ms} ms" for ms in found)],
        rows=rows,
        notes=some.skipped,
    )
