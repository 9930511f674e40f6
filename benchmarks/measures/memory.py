"""How much memory all processes of a system take with four idle workers (PSS)."""

import time

from benchmarks.bench import Bench
from benchmarks.drain import wait_until_finished
from benchmarks.figures import show
from benchmarks.outcome import Bar, Outcome, Table
from benchmarks.processes import ProcessMemory
from benchmarks.rounds import Series, alternate
from benchmarks.stamps import LAST
from benchmarks.systems import floors
from benchmarks.systems.base import Order, System

READY_SECONDS = 60.0
JOBS = 200
NAP_SECONDS = 0.005
MIB = 2**20
TITLE_LENGTH = 60

Memory = list[ProcessMemory]


def measure(bench: Bench) -> Outcome:
    """Let the workers do a few jobs, leave them idle, and add up."""
    peers = bench.systems
    series = alternate(
        bench,
        "memory",
        [peers.jobd, peers.bullmq, peers.dramatiq, peers.dramatiq_default, floors.ONE_BY_ONE],
        lambda system: _take(bench, system),
        lambda sample: f"{_mib(sample):.1f} MiB in {len(sample)} processes",
    )
    value = series.spread(peers.jobd, _mib)
    bar = Bar("memory of supervisor, keeper, preloader, 4 idle workers", "<=", 90, "MiB", value)
    return Outcome([_table(bench, series)], [bar], series.failures)


def _mib(sample: Memory) -> float:
    return sum(one.pss for one in sample) / MIB


def _take(bench: Bench, system: System) -> Memory:
    plan = bench.plan
    with bench.site(bench.server, "nap") as site:
        stamps = bench.stamps(site)
        with bench.workers(system, site, plan.idle_workers) as group:
            order = Order(kind="fill", task="nap", count=JOBS, extra={"seconds": NAP_SECONDS})
            bench.produce(system, site, order)
            stamps.wait(LAST, READY_SECONDS, group.check_alive)
            wait_until_finished(system, bench.server, group)
            time.sleep(plan.idle_seconds)
            return group.memory()


def _table(bench: Bench, series: Series[Memory]) -> Table:
    peers = bench.systems
    rows = [
        [
            system.name,
            show(series.spread(system, len)),
            show(series.spread(system, _mib), 1),
            show(series.ratio(system, peers.dramatiq, _mib), 2, " x"),
            show(series.ratio(system, peers.bullmq, _mib), 2, " x"),
        ]
        for system in series.systems
    ]
    return Table(
        title=f"Memory of all processes, {bench.plan.idle_workers} idle workers",
        intro=f"Sum of PSS after {JOBS} jobs and {bench.plan.idle_seconds:g} s of idleness. "
        "A page shared by several processes is divided among them.",
        columns=["system", "processes", "PSS MiB", "/ dramatiq", "/ BullMQ"],
        rows=rows,
        notes=[*series.skipped, *_by_process(series, peers.jobd)],
    )


def _by_process(series: Series[Memory], system: System) -> list[str]:
    """Which process of jobd has how much, in its last good run."""
    last = next((s for s in reversed(series.samples.get(system.key, [])) if s), None)
    if last is None:
        return []
    parts = [f"{one.title[:TITLE_LENGTH]} {one.pss / MIB:.1f}" for one in last]
    return [f"{system.name} by process, MiB: {'; '.join(parts)}"]
