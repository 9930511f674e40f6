"""One drain run: a backlog, workers, and the time between two marks. Used by several measures.

Why the marks sit inside the backlog: the jobs before the first mark cover the start of all worker
processes, so what is timed is the steady state of all of them. CPU and commands are read when the
driver sees a mark, a few milliseconds late at both ends.

Invariant: a sample is returned only when the system says that nothing is left, failed or dead.
"""

import time
from dataclasses import dataclass

from benchmarks import machine
from benchmarks.bench import Bench
from benchmarks.errors import RunFailed
from benchmarks.plan import Backlog
from benchmarks.processes import Group
from benchmarks.servers import Counters, RedisServer
from benchmarks.stamps import FIRST, LAST, Stamp, Stamps
from benchmarks.systems.base import Order, System

START_SECONDS = 60.0
DRAIN_SECONDS = 300.0
EMPTY_SECONDS = 20.0
#: A run is taken again when others used more of the machine than this; the least disturbed counts.
FOREIGN_CORES = 0.25


@dataclass(frozen=True, slots=True)
class Drained:
    """What one drain run cost; everything per job, CPU in microseconds."""

    jobs_per_second: float
    worker_cpu_us: float
    redis_cpu_us: float
    commands: float
    socket_reads: float
    foreign_cores: float


@dataclass(frozen=True, slots=True)
class _Look:
    """All accounts at one moment."""

    at: float
    redis: Counters
    workers: float
    redis_process: float
    driver: float
    everybody: float


def drain(
    bench: Bench, system: System, workers: int, backlog: Backlog, server: RedisServer | None = None
) -> Drained:
    """Drain one backlog of no-op jobs; again when the machine was too busy with something else.

    Raises:
        RunFailed: the workers died, took too long, or left jobs behind.
    """
    samples: list[Drained] = []
    while True:
        samples.append(_drain_once(bench, system, workers, backlog, server or bench.server))
        foreign = samples[-1].foreign_cores
        if foreign <= FOREIGN_CORES or not bench.may_repeat(len(samples)):
            return min(samples, key=lambda sample: sample.foreign_cores)
        bench.say(f"    others used {foreign:.2f} cores meanwhile: once more")


def _drain_once(
    bench: Bench, system: System, workers: int, backlog: Backlog, server: RedisServer
) -> Drained:
    with bench.site(server) as site:
        order = Order(kind="fill", task="noop", count=backlog.count, warm=backlog.warm)
        bench.produce(system, site, order)
        stamps = bench.stamps(site)
        with bench.workers(system, site, workers) as group:
            stamps.wait(FIRST, START_SECONDS, group.check_alive)
            before = _look(server, group)
            stamps.wait(LAST, DRAIN_SECONDS, group.check_alive)
            after = _look(server, group)
            wait_until_finished(system, server, group)
        return _account(before, after, _marks(stamps), backlog)


def _marks(stamps: Stamps) -> tuple[Stamp, Stamp]:
    first, last = stamps.find(FIRST), stamps.find(LAST)
    assert first is not None, "it was waited for"
    assert last is not None, "it was waited for"
    return first, last


def _look(server: RedisServer, group: Group) -> _Look:
    return _Look(
        at=time.monotonic(),
        redis=server.counters(),
        workers=group.cpu_seconds(),
        redis_process=server.process_cpu_seconds(),
        driver=machine.driver_cpu_seconds(),
        everybody=machine.busy_seconds(),
    )


def _account(before: _Look, after: _Look, marks: tuple[Stamp, Stamp], backlog: Backlog) -> Drained:
    first, last = marks
    jobs = backlog.count - 1
    redis = after.redis.since(before.redis)
    workers = after.workers - before.workers
    ours = workers + after.redis_process - before.redis_process + after.driver - before.driver
    return Drained(
        jobs_per_second=jobs / (last.at - first.at),
        worker_cpu_us=workers / jobs * 1e6,
        redis_cpu_us=redis.cpu_seconds / jobs * 1e6,
        commands=redis.commands / jobs,
        socket_reads=redis.socket_reads / jobs,
        foreign_cores=max(0.0, after.everybody - before.everybody - ours) / (after.at - before.at),
    )


def wait_until_finished(system: System, server: RedisServer, group: Group) -> None:
    """Wait until the system has nothing waiting, running or failed.

    Raises:
        RunFailed: something is left after EMPTY_SECONDS.
    """
    deadline = time.monotonic() + EMPTY_SECONDS
    while any((left := system.unfinished(server)).values()):
        if time.monotonic() > deadline:
            raise RunFailed(f"jobs left behind: {left}")
        group.check_alive()
        time.sleep(0.05)
