"""How fast jobs are added, one by one and in bulk, by one producer process."""

from dataclasses import dataclass

from benchmarks import shape
from benchmarks.bench import Bench
from benchmarks.figures import show
from benchmarks.outcome import Bar, Outcome, Table
from benchmarks.rounds import Series, alternate
from benchmarks.systems.base import Kind, Order, System
from benchmarks.systems.floors import Floor

WARM_SINGLE = 200
WARM_BULK = 2_000


@dataclass(frozen=True, slots=True)
class Added:
    """What adding cost; per job, CPU in microseconds."""

    jobs_per_second: float
    producer_cpu_us: float
    redis_cpu_us: float
    commands: float


def measure(bench: Bench) -> Outcome:
    """Both ways of adding, each beside its own floor."""
    single, bulk = _single(bench), _bulk(bench)
    return Outcome(
        single.tables + bulk.tables, single.bars + bulk.bars, single.failures + bulk.failures
    )


def _single(bench: Bench) -> Outcome:
    peers = bench.systems
    seen = shape.of_adding(bench, peers.jobd)
    size = seen or shape.GUESS
    script = Floor("evalsha", "EVALSHA", way="evalsha", shape=size.as_json())
    push = Floor("push", "RPUSH", way="variadic")
    rows: list[System] = [peers.jobd, peers.bullmq, peers.dramatiq, script, push]
    series = _series(bench, "adding one by one", rows, "single")
    source = "as seen on the wire from jobd" if seen else "a guess, as jobd could not be asked"
    table = _table(
        "Adding one by one",
        f"The bare EVALSHA does one HSET and one ZADD and has {size.text()}: {source}. "
        "CPU and commands are per job.",
        series,
        {"EVALSHA": script, "RPUSH": push, "BullMQ": peers.bullmq},
    )
    ratio = series.ratio(peers.jobd, script, lambda s: s.jobs_per_second)
    bar = Bar("adding one by one, against a bare EVALSHA of that size", ">=", 0.8, "x", ratio)
    return Outcome([table], [bar], series.failures)


def _bulk(bench: Bench) -> Outcome:
    peers = bench.systems
    pipelined = Floor("pipelined", "pipelined RPUSH", way="pipelined")
    variadic = Floor("variadic", "one big RPUSH", way="variadic")
    rows: list[System] = [peers.jobd, peers.bullmq, pipelined, variadic]
    series = _series(bench, "adding in bulk", rows, "bulk")
    table = _table(
        "Adding in bulk",
        "By each system's own bulk API in chunks of 1000; dramatiq has none. The floors push the same "
        "JSON: a pipeline of 1000 RPUSH, or one RPUSH of 1000 values.",
        series,
        {"pipelined RPUSH": pipelined, "one big RPUSH": variadic, "BullMQ": peers.bullmq},
    )
    ratio = series.ratio(peers.jobd, pipelined, lambda s: s.jobs_per_second)
    bar = Bar("adding in bulk, against a pipelined push", ">=", 0.3, "x", ratio)
    return Outcome([table], [bar], series.failures)


def _series(bench: Bench, label: str, rows: list[System], kind: Kind) -> Series[Added]:
    return alternate(
        bench,
        label,
        rows,
        lambda system: _take(bench, system, kind),
        lambda sample: f"{sample.jobs_per_second:,.0f} jobs/s",
        bench.plan.short_runs,
    )


def _take(bench: Bench, system: System, kind: Kind) -> Added:
    plan = bench.plan
    warm, count = (
        (WARM_SINGLE, plan.single_jobs) if kind == "single" else (WARM_BULK, plan.bulk_jobs)
    )
    with bench.site(bench.server) as site:
        before = bench.server.counters()
        told = bench.produce(system, site, Order(kind=kind, task="noop", count=count, warm=warm))
        redis = bench.server.counters().since(before)
    return Added(
        jobs_per_second=told["jobs"] / told["seconds"],
        producer_cpu_us=told["cpu_seconds"] / told["jobs"] * 1e6,
        redis_cpu_us=redis.cpu_seconds / (warm + count) * 1e6,
        commands=redis.commands / (warm + count),
    )


def _table(title: str, intro: str, series: Series[Added], against: dict[str, System]) -> Table:
    def rate(sample: Added) -> float:
        return sample.jobs_per_second

    rows = [
        [
            system.name,
            show(series.spread(system, rate)),
            *(show(series.ratio(system, other, rate), 2, " x") for other in against.values()),
            show(series.spread(system, lambda s: s.producer_cpu_us), 1),
            show(series.spread(system, lambda s: s.redis_cpu_us), 1),
            show(series.spread(system, lambda s: s.commands), 2),
        ]
        for system in series.systems
    ]
    return Table(
        title=title,
        intro=intro,
        columns=[
            "system",
            "jobs/s",
            *(f"/ {name}" for name in against),
            "producer µs",
            "Redis µs",
            "commands",
        ],
        rows=rows,
        notes=series.skipped,
    )
