"""How many no-op jobs a second, and what each costs: a backlog drained by one and two workers."""

from collections.abc import Sequence
from functools import partial

from benchmarks.bench import Bench
from benchmarks.drain import Drained, drain
from benchmarks.figures import show
from benchmarks.outcome import Bar, Outcome, Table
from benchmarks.rounds import Series, alternate
from benchmarks.systems import floors
from benchmarks.systems.base import System

INTRO = (
    "A backlog of no-op jobs (`user_id`, `email`) drained by {workers}. The backlog is sized to "
    "last about {seconds:g} s; every run ends with the proof that nothing was left, failed or dead."
)


def measure(bench: Bench) -> Outcome:
    """Drain with one worker process, then with two."""
    outcome = Outcome()
    for workers in (1, 2):
        rows = _rows(bench)
        series = alternate(
            bench,
            f"throughput, {workers} worker{'s' * (workers > 1)}",
            rows,
            partial(_take, bench, workers),
            lambda sample: f"{sample.jobs_per_second:,.0f} jobs/s",
        )
        outcome.failures += series.failures
        outcome.tables += [_speed(bench, series, workers), _cost(bench, series, workers)]
        if workers == 1:
            outcome.bars += _bars(bench, series)
    return outcome


def _rows(bench: Bench) -> list[System]:
    peers = bench.systems
    return [
        peers.jobd,
        peers.jobd_lean,
        peers.bullmq,
        peers.dramatiq,
        peers.dramatiq_default,
        floors.ONE_BY_ONE,
        floors.ONE_TRIP,
        floors.BATCHED,
        floors.LPOP100,
    ]


def _take(bench: Bench, workers: int, system: System) -> Drained:
    return drain(bench, system, workers, bench.plan.backlog(system.rate, workers))


def _rate(sample: Drained) -> float:
    return sample.jobs_per_second


def _speed(bench: Bench, series: Series[Drained], workers: int) -> Table:
    peers = bench.systems
    against: Sequence[System] = (peers.bullmq, peers.dramatiq, floors.ONE_TRIP, floors.BATCHED)
    rows = [
        [
            system.name,
            show(series.spread(system, _rate)),
            *(show(series.ratio(system, other, _rate), 2, " x") for other in against),
        ]
        for system in series.systems
    ]
    named = "one worker process" if workers == 1 else f"{workers} worker processes"
    return Table(
        title=f"No-op throughput, {named}",
        intro=INTRO.format(workers=named, seconds=bench.plan.drain_seconds),
        columns=["system", "jobs/s", "/ BullMQ", "/ dramatiq", "/ one round trip", "/ batched"],
        rows=rows,
        notes=series.skipped,
    )


def _cost(bench: Bench, series: Series[Drained], workers: int) -> Table:
    bullmq = bench.systems.bullmq
    rows = [
        [
            system.name,
            show(series.spread(system, lambda s: s.worker_cpu_us), 1),
            show(series.ratio(system, bullmq, lambda s: s.worker_cpu_us), 2, " x"),
            show(series.spread(system, lambda s: s.redis_cpu_us), 1),
            show(series.ratio(system, bullmq, lambda s: s.redis_cpu_us), 2, " x"),
            show(series.spread(system, lambda s: s.commands), 2),
            show(series.spread(system, lambda s: s.socket_reads), 3),
            show(series.spread(system, lambda s: s.foreign_cores), 2),
        ]
        for system in series.systems
    ]
    return Table(
        title=f"Cost of a job in the same runs, {workers} worker{'s' * (workers > 1)}",
        intro=(
            "CPU microseconds, Redis commands and Redis's socket reads, per job. Workers: all "
            "processes of the system (jobd: supervisor, keeper and preloader too). Commands count "
            "those inside scripts. The last column is what else kept the machine busy."
        ),
        columns=[
            "system",
            "worker µs",
            "/ BullMQ",
            "Redis µs",
            "/ BullMQ",
            "commands",
            "reads",
            "others' cores",
        ],
        rows=rows,
    )


def _bars(bench: Bench, series: Series[Drained]) -> list[Bar]:
    peers = bench.systems
    what = "no-op throughput, 1 worker, results kept, against"
    return [
        Bar(f"{what} BullMQ", ">=", 2, "x", series.ratio(peers.jobd, peers.bullmq, _rate)),
        Bar(f"{what} dramatiq", ">=", 10, "x", series.ratio(peers.jobd, peers.dramatiq, _rate)),
    ]
