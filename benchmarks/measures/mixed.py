"""How long a 1 ms task waits in a queue that also has 5 s tasks, while a worker is free.

Four worker processes and three long tasks, so one worker is always free of them. Both are the same
task with other arguments, which is the hard case: nothing but the run itself tells long from short.
"""

from dataclasses import dataclass

from benchmarks.bench import Bench
from benchmarks.drain import wait_until_finished
from benchmarks.figures import percentile, show
from benchmarks.outcome import Bar, Outcome, Table
from benchmarks.rounds import Series, alternate
from benchmarks.systems import floors
from benchmarks.systems.base import Order, System

WORKERS = 4
SHORT_SECONDS = 0.001
LONG_SECONDS = 5.0
LONG_JOBS = 3
BURST = 20
BEAT_MS = 100
WARM_JOBS = 200
READY_SECONDS = 60.0
GRACE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Waits:
    """Milliseconds from just before adding a short job to its start."""

    p50: float
    p99: float
    longest: float


def measure(bench: Bench) -> Outcome:
    """Bursts of short jobs, and three long ones among them."""
    peers = bench.systems
    series = alternate(
        bench,
        "mixed queue",
        [peers.jobd, peers.bullmq_serial, peers.dramatiq_fair, floors.BLPOP],
        lambda system: _take(bench, system),
        lambda sample: f"p50 {sample.p50:.1f} ms, longest {sample.longest:.1f} ms",
    )
    value = series.spread(peers.jobd, lambda s: s.longest)
    what = "longest wait of a 1 ms task among 5 s tasks, a worker being free"
    return Outcome([_table(bench, series)], [Bar(what, "<=", 150, "ms", value)], series.failures)


def _take(bench: Bench, system: System) -> Waits:
    bursts = bench.plan.mixed_bursts
    with bench.site(bench.server, "mixed") as site:
        stamps = bench.stamps(site)
        with bench.workers(system, site, WORKERS) as group:
            # These prove that the workers are up, and let them learn how long the task takes.
            extra = {"seconds": SHORT_SECONDS, "sent": 0.0}
            ready = Order(kind="fill", task="mixed", count=WARM_JOBS, extra=extra)
            bench.produce(system, site, ready)
            stamps.wait_count(WARM_JOBS, READY_SECONDS, group.check_alive)
            beat = Order(
                kind="mixed",
                task="mixed",
                count=bursts,
                extra={
                    "short": SHORT_SECONDS,
                    "long": LONG_SECONDS,
                    "long_jobs": LONG_JOBS,
                    "burst": BURST,
                },
                interval_ms=BEAT_MS,
            )
            bench.produce(system, site, beat)
            total = WARM_JOBS + bursts * BURST + LONG_JOBS
            marks = stamps.wait_count(total, GRACE_SECONDS, group.check_alive)
            wait_until_finished(system, bench.server, group)
    waits = [(mark.at - mark.extra) * 1000 for mark in marks if mark.user_id >= 0 and mark.extra]
    return Waits(percentile(waits, 0.5), percentile(waits, 0.99), max(waits))


def _table(bench: Bench, series: Series[Waits]) -> Table:
    rows = [
        [
            system.name,
            show(series.spread(system, lambda s: s.p50), 1),
            show(series.spread(system, lambda s: s.p99), 1),
            show(series.spread(system, lambda s: s.longest), 1),
            show(series.ratio(system, floors.BLPOP, lambda s: s.longest), 2, " x"),
        ]
        for system in series.systems
    ]
    return Table(
        title="What a 1 ms task waits in a queue with 5 s tasks",
        intro=(
            f"{WORKERS} worker processes, one job at a time each; {BURST} jobs of 1 ms each "
            f"{BEAT_MS} ms, {bench.plan.mixed_bursts} times, and {LONG_JOBS} jobs of 5 s of the "
            "same task among them, so that one worker is always free of those. From just before "
            "adding to the start. dramatiq has prefetch 1 here, its best."
        ),
        columns=["system", "p50 ms", "p99 ms", "longest ms", "longest / BLPOP"],
        rows=rows,
        notes=series.skipped,
    )
