"""How near one worker comes to the ideal rate with many tasks at once that sleep for 10 ms."""

from functools import partial

from benchmarks.bench import Bench
from benchmarks.drain import wait_until_finished
from benchmarks.figures import show
from benchmarks.outcome import Bar, Outcome, Table
from benchmarks.rounds import alternate
from benchmarks.stamps import FIRST, LAST
from benchmarks.systems.base import Order
from benchmarks.systems.jobd import JobdSystem

START_SECONDS = 60.0
DRAIN_SECONDS = 120.0
WARM_PART = 0.2
NAP_SECONDS = 0.010
SYSTEMS = (
    JobdSystem("jobd-threads", "jobd, threads", concurrency=10),
    JobdSystem(
        "jobd-asyncio",
        "jobd, asyncio",
        concurrency=100,
        app="benchmarks.peers.jobd_async_app:app",
    ),
)


def measure(bench: Bench) -> Outcome:
    """A backlog of sleeping tasks, one worker process that runs many at once."""
    outcome = Outcome()
    rows = []
    for system in SYSTEMS:
        at_once = system.concurrency
        series = alternate(
            bench,
            f"{system.name}, {at_once} at once",
            [system],
            partial(_take, bench),
            lambda rate: f"{rate:,.0f} jobs/s",
        )
        outcome.failures += series.failures
        ideal = at_once / NAP_SECONDS
        share = series.spread(system, lambda rate, ideal=ideal: rate / ideal * 100)
        what = f"share of the ideal rate, {system.name}, {at_once} at once"
        outcome.bars.append(Bar(what, ">=", 90, "%", share))
        rate = series.spread(system, lambda rate: rate)
        rows.append([system.name, f"{at_once}", show(rate), f"{ideal:,.0f}", show(share, 1)])
    outcome.tables.append(
        Table(
            title="Many at once",
            intro="One worker process, tasks that sleep for 10 ms; the ideal has no time between.",
            columns=["system", "at once", "jobs/s", "ideal", "share %"],
            rows=rows,
        )
    )
    return outcome


def _take(bench: Bench, system: JobdSystem) -> float:
    """Jobs a second, from the start of the first to the end of the last timed one."""
    count = int(system.concurrency / NAP_SECONDS * bench.plan.concurrent_seconds)
    with bench.site(bench.server, "nap") as site:
        order = Order(
            kind="fill",
            task="nap",
            count=count,
            warm=max(1, int(count * WARM_PART)),
            extra={"seconds": NAP_SECONDS},
        )
        bench.produce(system, site, order)
        stamps = bench.stamps(site)
        with bench.workers(system, site, 1) as group:
            first = stamps.wait(FIRST, START_SECONDS, group.check_alive)
            last = stamps.wait(LAST, DRAIN_SECONDS, group.check_alive)
            wait_until_finished(system, bench.server, group)
    return count / (last.at - first.at)
