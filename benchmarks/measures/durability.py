"""The same throughput when Redis writes to disk: appendfsync everysec and always."""

from benchmarks import machine
from benchmarks.bench import Bench
from benchmarks.drain import Drained, drain
from benchmarks.figures import show
from benchmarks.outcome import Outcome, Table
from benchmarks.rounds import Series, alternate
from benchmarks.servers import Durability, RedisServer
from benchmarks.systems import floors
from benchmarks.systems.base import System

SETTINGS: tuple[Durability, ...] = ("everysec", "always")


def measure(bench: Bench) -> Outcome:
    """Drain with one worker under both settings, each on a server of its own."""
    outcome = Outcome()
    for setting in SETTINGS:
        directory = bench.scratch / f"redis-{setting}"
        with RedisServer(directory, setting) as server:
            sync = machine.fsync_ms(directory)
            series = _series(bench, server, setting)
        outcome.failures += series.failures
        outcome.tables.append(_table(bench, series, setting, sync))
    return outcome


def _series(bench: Bench, server: RedisServer, setting: str) -> Series[Drained]:
    peers = bench.systems
    rows: list[System] = [
        peers.jobd,
        peers.jobd_lean,
        peers.bullmq,
        peers.dramatiq,
        floors.ONE_TRIP,
        floors.BATCHED,
    ]
    return alternate(
        bench,
        f"appendfsync {setting}",
        rows,
        lambda system: drain(bench, system, 1, bench.plan.backlog(system.rate // 2, 1), server),
        lambda sample: f"{sample.jobs_per_second:,.0f} jobs/s",
    )


def _table(bench: Bench, series: Series[Drained], setting: str, sync: float) -> Table:
    def rate(sample: Drained) -> float:
        return sample.jobs_per_second

    rows = [
        [
            system.name,
            show(series.spread(system, rate)),
            show(series.ratio(system, floors.BATCHED, rate), 2, " x"),
            show(series.ratio(system, bench.systems.bullmq, rate), 2, " x"),
        ]
        for system in series.systems
    ]
    return Table(
        title=f"No-op throughput, one worker process, `appendfsync {setting}`",
        intro=f"An append of 4 KiB with fdatasync took {sync:.2f} ms in this directory (median).",
        columns=["system", "jobs/s", "/ batched", "/ BullMQ"],
        rows=rows,
        notes=series.skipped,
    )
