"""What preloading is worth: the memory of eight workers, and how soon a dead one is replaced."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks import heavy
from benchmarks.bench import Bench
from benchmarks.errors import RunFailed
from benchmarks.figures import Spread, percentile, spread
from benchmarks.outcome import Bar, Outcome, Table
from benchmarks.processes import Command, Group
from benchmarks.servers import RedisServer
from benchmarks.systems.base import Site
from jobd import Jobd
from jobd.seams import statefile
from jobd.seams.scoreboard import Scoreboard
from jobd.seams.scoreboard_views import PageView, Phase

WORKERS = 8
READY_SECONDS = 240.0
JOBS = 400
MIB = 2**20
LOOK_SECONDS = 0.0005
PAUSE_SECONDS = 0.1
# Who was there for less is young: its slot is held back for a moment (jobd.supervisor.backoff).
YOUNG_SECONDS = 1.5

CONFIG = """\
app = "{app}"
[redis]
url = "{url}"
[daemon]
runtime_dir = "{directory}/run"
[queues.bench]
processes = {workers}
preload = {preload}
max_crashes = 1000
"""


@dataclass(frozen=True)
class Daemon:
    """A running daemon and its workers."""

    site: Site
    group: Group

    def pages(self) -> list[PageView]:
        """The pages of workers that have joined, by slot."""
        state = statefile.read(self.site.directory / "run")
        if state is None:
            return []
        boards = list((self.site.directory / "run").glob(f"scoreboard.{state.nonce}"))
        views = Scoreboard.open(boards[0]).views() if boards else []
        return [view for view in views if view.phase > Phase.BOOTING and not _gone(view.pid)]

    def ready(self, workers: int = WORKERS) -> list[PageView]:
        """Wait until so many have joined."""
        until = time.monotonic() + READY_SECONDS
        while len(found := self.pages()) < workers:
            self.group.check_alive()
            if time.monotonic() > until:
                raise RunFailed(f"{len(found)} of {workers} workers: {self.group.log_tail()}")
            time.sleep(0.02)
        return found


def measure(bench: Bench) -> Outcome:
    """Both questions, with one application."""
    memory, restarts = _memory(bench), _restarts(bench)
    return Outcome(memory.tables + restarts.tables, memory.bars + restarts.bars)


@contextmanager
def _daemon(bench: Bench, server: RedisServer, *, preload: bool) -> Iterator[Daemon]:
    with bench.site(server) as site:
        app = heavy.lay(site.directory)
        config = site.directory / "jobd.toml"
        values = {"app": app, "url": site.url, "directory": site.directory, "workers": WORKERS}
        config.write_text(CONFIG.format(**values, preload=json.dumps(preload)), encoding="utf-8")
        command = Command(
            [sys.executable, "-m", "jobd", "run", "-c", str(config)], site.environment()
        )
        group = Group([command], site.directory / "workers.log", site.directory)
        with group:
            yield Daemon(site, group)


def _work(daemon: Daemon, jobs: int) -> None:
    """Have the workers do something, so that they have touched what they touch in their life."""
    app = Jobd(daemon.site.url)
    queue = app.queue("bench")
    handles = [queue.add("touch", {}) for _ in range(jobs)]
    for handle in handles:
        handle.result(timeout=READY_SECONDS)
    app.producer.client.close()


# --- memory ---


def _memory(bench: Bench) -> Outcome:
    sums: dict[bool, list[float]] = {True: [], False: []}
    workers: dict[bool, list[float]] = {True: [], False: []}
    for number in range(bench.plan.preload_runs):
        for preload in (True, False):
            with _daemon(bench, bench.server, preload=preload) as daemon:
                daemon.ready()
                _work(daemon, JOBS)
                pages = daemon.ready()
                shares = [_pss(view.pid) for view in pages]
                sums[preload].append(sum(shares) + _pss(_preloader(daemon)))
                workers[preload].append(sum(shares) / len(shares))
            word = "preloaded" if preload else "separate"
            bench.say(f"memory {number + 1}: {word}: {sums[preload][-1] / MIB:.0f} MiB in all")
    ratio = spread([a / b * 100 for a, b in zip(sums[True], sums[False], strict=True)])
    rows = [
        [word, _mib(sums[preload]), _mib(workers[preload])]
        for word, preload in (("preloaded", True), ("separate", False))
    ]
    table = Table(
        title=f"Memory of {WORKERS} workers of a large application",
        intro=f"{heavy.MODULES} modules{' and numpy' if heavy.has_numpy() else ''}; PSS after "
        f"{JOBS} jobs, each worker having run functions of a tenth of the modules. The preloader "
        "counts; supervisor and keeper, which are the same in both, do not.",
        columns=["workers", "all, MiB", "one worker, MiB"],
        rows=rows,
        notes=[] if heavy.has_numpy() else ["numpy is not installed here: without it"],
    )
    return Outcome([table], [Bar("memory, against separate processes", "<=", 35, "%", ratio)])


def _mib(samples: list[float]) -> str:
    found = spread([sample / MIB for sample in samples])
    return "-" if found is None else found.text(1)


def _pss(pid: int) -> int:
    return int(psutil.Process(pid).memory_full_info().pss)


def _preloader(daemon: Daemon) -> int:
    for process in daemon.group.members():
        if "preloader" in " ".join(process.cmdline()):
            return process.pid
    raise RunFailed(f"no preloader: {daemon.group.log_tail()}")


# --- restarts ---


def _restarts(bench: Bench) -> Outcome:
    spans: list[float] = []
    with (
        RedisServer(bench.scratch / "redis-first") as server,
        _daemon(bench, server, preload=True) as daemon,
        _looking_first() as looks_first,
    ):
        first = server.go_first() and daemon.group.go_first() and looks_first
        daemon.ready()
        born: dict[str, float] = {}
        while len(spans) < bench.plan.preload_kills:
            _work(daemon, WORKERS * 2)
            # Only of one that has run a job: what dies young again and again waits longer each time.
            useful = [view for view in daemon.ready() if view.ran]
            for view in useful[: bench.plan.preload_kills - len(spans)]:
                age = time.monotonic() - born.get(view.slot, -YOUNG_SECONDS)
                time.sleep(max(PAUSE_SECONDS, YOUNG_SECONDS - age))
                spans.append(_replace(daemon, view) * 1000)
                born[view.slot] = time.monotonic()
    table = Table(
        title="From the death of a worker to its replacement being ready",
        intro=f"SIGKILL, then until the next worker of the slot has joined at Redis and waits for "
        f"work; n = {len(spans)}, {WORKERS} workers, looked at every {LOOK_SECONDS * 1000:g} ms.",
        columns=["p50 ms", "p90 ms", "p99 ms", "max ms"],
        notes=[] if first else ["other processes may have had the machine in between"],
        rows=[[f"{percentile(spans, share):.1f}" for share in (0.5, 0.9, 0.99, 1.0)]],
    )
    p99 = percentile(spans, 0.99)
    value = Spread(p99, p99, p99)
    return Outcome([table], [Bar("dead to replaced, preloaded, p99", "<=", 50, "ms", value)])


@contextmanager
def _looking_first() -> Iterator[bool]:
    """Have what this process looks at not wait for other processes either, where that is allowed."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        yield False
        return
    try:
        yield True
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _replace(daemon: Daemon, victim: PageView) -> float:
    state = statefile.read(daemon.site.directory / "run")
    assert state is not None
    board = Scoreboard.open(Path(daemon.site.directory / "run" / f"scoreboard.{state.nonce}"))
    began = time.monotonic()
    os.kill(victim.pid, signal.SIGKILL)
    until = began + READY_SECONDS
    while not any(_follows(view, victim) for view in board.views()):
        if time.monotonic() > until:
            raise RunFailed(f"{victim.slot} was not replaced: {daemon.group.log_tail()}")
        time.sleep(LOOK_SECONDS)
    return time.monotonic() - began


def _follows(view: PageView, victim: PageView) -> bool:
    same = view.slot == victim.slot and view.incarnation != victim.incarnation
    return same and view.phase > Phase.BOOTING and not _gone(view.pid)


def _gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
