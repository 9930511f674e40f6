"""How many bytes of Redis memory a waiting job takes."""

from benchmarks.bench import Bench
from benchmarks.figures import show
from benchmarks.outcome import Outcome, Table
from benchmarks.rounds import alternate
from benchmarks.systems import floors
from benchmarks.systems.base import Order, System


def measure(bench: Bench) -> Outcome:
    """Fill a backlog on an empty store and divide what it grew by."""
    peers = bench.systems
    series = alternate(
        bench,
        "bytes per waiting job",
        [peers.jobd, peers.bullmq, peers.dramatiq, floors.ONE_BY_ONE],
        lambda system: _take(bench, system),
        lambda sample: f"{sample:,.0f} bytes",
    )
    rows = [
        [
            system.name,
            show(series.spread(system, lambda s: s)),
            show(series.ratio(system, peers.bullmq, lambda s: s), 2, " x"),
            show(series.ratio(system, floors.ONE_BY_ONE, lambda s: s), 2, " x"),
        ]
        for system in series.systems
    ]
    table = Table(
        title="Redis memory of a waiting job",
        intro=f"Growth of `used_memory` by {bench.plan.waiting_jobs:,} jobs on an empty store.",
        columns=["system", "bytes/job", "/ BullMQ", "/ one by one"],
        rows=rows,
        notes=series.skipped,
    )
    return Outcome([table], [], series.failures)


def _take(bench: Bench, system: System) -> float:
    jobs = bench.plan.waiting_jobs
    with bench.site(bench.server) as site:
        before = bench.server.counters()
        bench.produce(system, site, Order(kind="fill", task="noop", count=jobs))
        return bench.server.counters().since(before).used_memory / jobs
