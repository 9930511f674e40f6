"""What the dashboard takes: each page's time in a crowd, and what a worker loses while people watch.

The store holds a crowd (benchmarks.crowd) beside the queue of one worker. First each page is opened many
times, in turns, each time another of its kind where there are such: the next page of a list, another
job, another filter. Then the worker drains no-op jobs at full speed while, in turns, a mix of pages is
watched by many viewers or by nobody.
"""

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.bench import Bench
from benchmarks.crowd import config, plant
from benchmarks.errors import RunFailed
from benchmarks.figures import Spread, middle, percentile, show, spread
from benchmarks.outcome import Bar, Outcome, Table
from benchmarks.pages import WATCHED, Kind, kinds_of
from benchmarks.processes import Group
from benchmarks.servers import RedisServer, free_port
from benchmarks.systems.base import Order, Site
from benchmarks.systems.jobd import JobdSystem
from benchmarks.viewers import Reader, Viewers
from benchmarks.viewers import config as dashboard_config
from jobd import Jobd

BAR_MS = 200
LEAST = 0.97
START_SECONDS = 60.0
#: After viewers came or went, this long is not counted.
LEAD_SECONDS = 1.5
SLICE_SECONDS = 2.0
#: So long the streams are watched while no job runs.
IDLE_SECONDS = 10.0
TALLY = ("HGET", "jobd:{bench}:tally", "completed|noop")
LINE = ("ZCARD", "jobd:{bench}:waiting")
#: Jobs a second at the most; sizes what there is to do in a pair.
RATE = 90_000


@dataclass(frozen=True, slots=True)
class Watching:
    """What the streams alone take while no job runs: cores of the web process and of Redis."""

    web_cores: float
    redis_cores: float


@dataclass(frozen=True, slots=True)
class Slice:
    """Jobs a second, bytes a second that viewers read, and the cores that the web process took."""

    rate: float
    read: float
    web_cores: float


def measure(bench: Bench) -> Outcome:
    """Pages first, with the worker idle; then the worker, with viewers and without."""
    try:
        return _measure(bench)
    except RunFailed as error:
        return Outcome(failures=[f"dashboard: {error}"])


def _measure(bench: Bench) -> Outcome:
    plan, port = bench.plan, free_port()
    system = JobdSystem("jobd", "jobd", more=config() + dashboard_config(port))
    with RedisServer(bench.scratch / "redis-crowd") as server, bench.site(server) as site:
        bench.say(
            f"dashboard: planting {plan.crowd_jobs:,} waiting and delayed, {plan.crowd_dead:,} dead"
        )
        plant(server, plan.crowd_jobs, plan.crowd_dead)
        kinds = kinds_of(plan.crowd_jobs, plan.crowd_dead)
        for _ in range(plan.cold_starts):
            with _served(bench, system, site, port) as (_, reader):
                for kind in kinds:
                    kind.open(reader, kind.cold)
        with _served(bench, system, site, port) as (group, reader):
            _look(bench, kinds, reader)
            alone = _watching(bench, server, group, port)
            pairs = _pairs(bench, system, site, server, group, port)
    return _outcome(bench, kinds, alone, pairs)


@contextmanager
def _served(
    bench: Bench, system: JobdSystem, site: Site, port: int
) -> Iterator[tuple[Group, Reader]]:
    """A daemon with one worker, and a reader of its pages."""
    with bench.workers(system, site, 1) as group:
        reader, deadline = Reader(port), time.monotonic() + START_SECONDS
        while not reader.answers("/livez"):
            group.check_alive()
            if time.monotonic() > deadline:
                raise RunFailed(f"nothing is served: {group.log_tail()}")
            time.sleep(0.05)
        time.sleep(1.0)  # whatever starting still costs
        yield group, reader
        reader.close()


def _look(bench: Bench, kinds: list[Kind], reader: Reader) -> None:
    """Open all in turns, so that what is kept for a moment is not what is timed."""
    for number in range(bench.plan.page_looks):
        for kind in kinds:
            kind.open(reader, kind.times)
        if number % 20 == 0:
            bench.say(f"dashboard: {number + 1} looks at each of {len(kinds)} pages")


def _streams(bench: Bench) -> list[str]:
    in_turn = itertools.islice(itertools.cycle(WATCHED), bench.plan.viewers)
    return ["/live" + path.rstrip("/") for path in in_turn]


def _watching(bench: Bench, server: RedisServer, group: Group, port: int) -> Watching:
    """Account for the streams by processor time, which others on the machine disturb less than rates."""

    def look() -> tuple[float, float, float]:
        return time.monotonic(), _web_cpu(group), server.process_cpu_seconds()

    with Viewers(port, []):
        before = look()
        time.sleep(IDLE_SECONDS)
        quiet = [now - then for now, then in zip(look(), before, strict=True)]
    with Viewers(port, _streams(bench)):
        time.sleep(LEAD_SECONDS)
        before = look()
        time.sleep(IDLE_SECONDS)
        watched = [now - then for now, then in zip(look(), before, strict=True)]
    web, redis = (watched[n] / watched[0] - quiet[n] / quiet[0] for n in (1, 2))
    return Watching(web, redis)


def _pairs(
    bench: Bench, system: JobdSystem, site: Site, server: RedisServer, group: Group, port: int
) -> list[tuple[Slice, Slice]]:
    """Slices (watched, alone), in an order that changes."""
    found: list[tuple[Slice, Slice]] = []
    queue = Jobd(site.url).queue("bench")
    jobs = int(RATE * 2 * (LEAD_SECONDS + SLICE_SECONDS))
    for number in range(bench.plan.viewer_pairs):
        queue.pause()  # adding would go on beside the worker, and both slowly
        lacking = jobs - server.ask(*LINE)
        if lacking > 0:
            bench.produce(system, site, Order(kind="fill", task="noop", count=lacking))
        queue.resume()
        both = {}
        for watched in (True, False) if number % 2 else (False, True):
            both[watched] = _slice(bench, server, group, port, watched=watched)
        found.append((both[True], both[False]))
        bench.say(
            f"dashboard {number + 1}: {both[True].rate:,.0f} jobs/s with {bench.plan.viewers} viewers, "
            f"{both[False].rate:,.0f} without"
        )
    return found


def _slice(bench: Bench, server: RedisServer, group: Group, port: int, *, watched: bool) -> Slice:
    paths = _streams(bench)
    with Viewers(port, paths if watched else []) as viewers:
        time.sleep(LEAD_SECONDS)
        read, web = viewers.read_bytes, _web_cpu(group)
        begun, before = time.monotonic(), server.ask(*TALLY)
        time.sleep(SLICE_SECONDS)
        span, done = time.monotonic() - begun, server.ask(*TALLY) - before
        read, web = viewers.read_bytes - read, _web_cpu(group) - web
        group.check_alive()
        if not server.ask(*LINE):
            raise RunFailed("there was nothing left to do; more jobs are needed for a pair")
        if viewers.lost:
            raise RunFailed(f"{viewers.lost} of {len(paths)} streams were closed")
        return Slice(done / span, read / span, web / span)


def _web_cpu(group: Group) -> float:
    [web] = [each for each in group.members() if "jobd: web" in " ".join(each.cmdline())]
    times = web.cpu_times()
    return float(times.user + times.system)


def _outcome(
    bench: Bench, kinds: list[Kind], alone: Watching, pairs: list[tuple[Slice, Slice]]
) -> Outcome:
    slowest = spread([max(percentile(kind.times, 0.95) for kind in kinds)])
    ratio = middle([watched.rate / unwatched.rate for watched, unwatched in pairs])
    bars = [
        Bar("p95 of the slowest page in a crowd", "<=", BAR_MS, "ms", slowest),
        Bar(f"a worker's rate while {bench.plan.viewers} viewers watch", ">=", LEAST, "x", ratio),
    ]
    return Outcome([_of_pages(bench, kinds), _of_loss(bench, alone, pairs, ratio)], bars)


def _of_pages(bench: Bench, kinds: list[Kind]) -> Table:
    plan = bench.plan
    rows = [
        [
            kind.name, str(len(kind.times)), f"{percentile(kind.times, 0.5):.1f}",
            f"{percentile(kind.times, 0.95):.1f}", f"{max(kind.times):.1f}",
            show(spread(kind.cold), 1), f"{len(kind.last.encode()) / 1024:.0f}",
        ]
        for kind in kinds
    ]  # fmt: skip
    return Table(
        title="Pages of the dashboard in a crowd",
        intro=(
            f"{plan.crowd_jobs:,} jobs wait, {plan.crowd_jobs:,} are delayed, {plan.crowd_dead:,} are dead in one "
            "queue; ten queues in all, an idle worker. Milliseconds from the request to the last byte, over a kept "
            "connection on this machine; pages in turns, each look at another one where there are others. Cold: the "
            f"first look after the daemon's start, median (least-greatest) of {plan.cold_starts}; they are in no other column."
        ),
        columns=["page", "n", "p50 ms", "p95 ms", "max ms", "cold ms", "KiB"],
        rows=rows,
    )


def _of_loss(
    bench: Bench, alone: Watching, pairs: list[tuple[Slice, Slice]], ratio: Spread
) -> Table:
    watched, unwatched = zip(*pairs, strict=True)
    return Table(
        title=f"A worker at full speed while {bench.plan.viewers} viewers watch",
        intro=(
            f"{len(pairs)} pairs of slices of {SLICE_SECONDS:g} s of one run, with viewers and without, in an order that "
            f"changes; the {LEAD_SECONDS:g} s after they came or went are not counted. Live streams of {len(set(WATCHED))} "
            "pages, in the same crowd, read by this process. The ratio is the median of all pairs (and their middle half). "
            f"The last two rows are of {IDLE_SECONDS:g} s in which no job ran, less what is taken when nobody watches."
        ),
        columns=["", "found"],
        rows=[
            ["jobs/s, nobody watches", show(spread([each.rate for each in unwatched]))],
            ["jobs/s, watched", show(spread([each.rate for each in watched]))],
            ["ratio, pair by pair", ratio.text(3, " x")],
            ["cores of the web process, nobody watches", show(spread([each.web_cores for each in unwatched]), 3)],
            ["cores of the web process, watched", show(spread([each.web_cores for each in watched]), 3)],
            ["KiB/s of all streams", show(spread([each.read / 1024 for each in watched]), 1)],
            ["cores of the web process for the streams", f"{alone.web_cores:.3f}"],
            ["cores of Redis for the streams", f"{alone.redis_cores:.3f}"],
        ],
    )  # fmt: skip
