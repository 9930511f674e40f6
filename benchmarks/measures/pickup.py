"""How soon an idle worker starts a job: one each 20 ms, from just before adding to the handler."""

from dataclasses import dataclass

from benchmarks.bench import Bench
from benchmarks.figures import percentile, show
from benchmarks.outcome import Bar, Outcome, Table
from benchmarks.rounds import Series, alternate
from benchmarks.stamps import LAST
from benchmarks.systems import floors
from benchmarks.systems.base import Order, System

READY_SECONDS = 60.0
GRACE_SECONDS = 30.0
WARM_JOBS = 20


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from just before adding to the start of the handler."""

    p50: float
    p99: float


def measure(bench: Bench) -> Outcome:
    """One idle worker process, a steady slow beat of jobs."""
    peers = bench.systems
    series = alternate(
        bench,
        "idle pick-up",
        [peers.jobd, peers.bullmq, peers.dramatiq, floors.ONE_TRIP, floors.BLPOP],
        lambda system: _take(bench, system),
        lambda sample: f"p50 {sample.p50:.2f} ms, p99 {sample.p99:.2f} ms",
        bench.plan.pickup_runs,
    )
    ratio = series.ratio(peers.jobd, floors.BLPOP, lambda s: s.p50)
    bar = Bar("idle pick-up p50, against a bare BLPOP hand-over", "<=", 1.5, "x", ratio)
    return Outcome([_table(bench, series)], [bar], series.failures)


def _take(bench: Bench, system: System) -> Latency:
    plan, server = bench.plan, bench.server
    with bench.site(server, "timed") as site:
        stamps = bench.stamps(site)
        with bench.workers(system, site, 1) as group:
            # One job proves that the worker is up; only then does the beat begin.
            ready = Order(kind="fill", task="timed", count=1, extra={"sent": 0.0})
            bench.produce(system, site, ready)
            stamps.wait(LAST, READY_SECONDS, group.check_alive)
            beat = Order(
                kind="paced",
                task="timed",
                count=plan.pickup_jobs,
                warm=WARM_JOBS,
                interval_ms=plan.pickup_interval_ms,
            )
            bench.produce(system, site, beat)
            total = 1 + WARM_JOBS + plan.pickup_jobs
            marks = stamps.wait_count(total, GRACE_SECONDS, group.check_alive)
    taken = [(mark.at - mark.extra) * 1000 for mark in marks if mark.user_id >= WARM_JOBS]
    return Latency(percentile(taken, 0.5), percentile(taken, 0.99))


def _table(bench: Bench, series: Series[Latency]) -> Table:
    rows = [
        [
            system.name,
            show(series.spread(system, lambda s: s.p50), 2),
            show(series.ratio(system, floors.BLPOP, lambda s: s.p50), 2, " x"),
            show(series.spread(system, lambda s: s.p99), 2),
            show(series.ratio(system, floors.BLPOP, lambda s: s.p99), 2, " x"),
        ]
        for system in series.systems
    ]
    plan = bench.plan
    return Table(
        title="Idle pick-up",
        intro=(
            f"{plan.pickup_jobs} jobs, one each {plan.pickup_interval_ms} ms, one idle worker; "
            "from just before adding to the start of the handler."
        ),
        columns=["system", "p50 ms", "p50 / BLPOP", "p99 ms", "p99 / BLPOP"],
        rows=rows,
        notes=series.skipped,
    )
