"""Memory limits, max_jobs and max_age in a real daemon: what leaks goes, and no job pays for it."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support.daemons import Daemon, eventually, kill
from support.groups import memory_group

from jobd import Jobd
from jobd.core.config import QueueConfig
from jobd.core.portrait import Growth

pytestmark = pytest.mark.process

MB = 1000**2
APP = """
import os, time
from jobd import Jobd

app = Jobd()
q = app.queue("q", max_crashes=1)
kept = []

def note(path, n):
    with open(path, "a") as file:
        file.write(f"{n} {os.getpid()} {time.monotonic()}\\n")

@q.task("calm")
def calm(path, n):
    time.sleep(0.002)
    note(path, n)

@q.task("quick")
def quick(path, n):
    note(path, n)

@q.task("leak")
def leak(path, n):
    kept.append(b"x" * 1_000_000)
    time.sleep(0.002)
    note(path, n)

@q.task("balloon")
def balloon(path):
    blown = []
    for n in range(200):
        blown.append(b"x" * 10_000_000)
        with open(path, "a") as file:
            file.write(f"{n * 10}\\n")
    time.sleep(60)

@q.task("wait")
def wait(path):
    note(path, 0)
    time.sleep(60)
"""

Start = Callable[..., Daemon]


@pytest.fixture
def start(tmp_path: Path, redis_url: str) -> Iterator[Start]:
    made: list[Daemon] = []

    def make(app: str = APP, **settings: Any) -> Daemon:
        queues = {"q": QueueConfig(**settings)}
        made.append(Daemon(tmp_path, redis_url, app, queues=queues))
        return made[-1]

    yield make
    for daemon in made:
        daemon.end()


def events(daemon: Daemon, name: str) -> list[dict[str, Any]]:
    said = [json.loads(line) for line in daemon.text().splitlines() if line.startswith("{")]
    return [event for event in said if event["event"] == name]


def causes(daemon: Daemon) -> set[str]:
    return {cause for slot in daemon.slots() for cause in slot.exits}


def blame(daemon: Daemon) -> list[Growth]:
    state = daemon.state()
    assert state is not None
    return state.pools["q"].growth


def runs(path: Path) -> list[tuple[int, int, float]]:
    """Each run that came to its end: number, pid, time."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [(int(n), int(pid), float(at)) for n, pid, at in (line.split() for line in lines)]


def all_ran_once(daemon: Daemon, path: Path, count: int) -> list[tuple[int, int, float]]:
    try:
        eventually("all have run", lambda: len(runs(path)) >= count, within=40)
    except AssertionError as late:
        raise AssertionError(f"{late}\n{len(runs(path))} ran\n{daemon.text()}") from None
    found = runs(path)
    assert Counter(n for n, _, _ in found) == Counter(range(count))
    return found


def test_what_leaks_is_replaced_and_no_job_is_lost_or_runs_twice(
    start: Start, redis_url: str, tmp_path: Path
) -> None:
    """Its successor has joined before it is told to go: there is always somebody."""
    daemon = start(memory_limit=80 * MB)
    queue, out = Jobd(redis_url).queue("q"), tmp_path / "out"
    daemon.running(1)
    for n in range(0, 800, 2):
        queue.add("leak", {"path": str(out), "n": n})
        queue.add("calm", {"path": str(out), "n": n + 1})
    found = all_ran_once(daemon, out, 800)
    pids = [pid for _, pid, _ in found]
    assert len(set(pids)) > 1
    over = events(daemon, "memory.over_limit")
    assert over
    assert all(event["limit"] == "80MB" for event in over)
    started = [event["incarnation"] for event in events(daemon, "worker.started")]
    for stopped in events(daemon, "worker.stopped"):
        assert stopped["why"] == "memory_limit"
        assert started.index(stopped["incarnation"]) < len(started) - 1
    times = sorted(at for _, _, at in found)
    assert max(b - a for a, b in pairwise(times)) < 1.0
    assert eventually("its ends are counted", lambda: causes(daemon)) == {"recycled"}
    blamed = blame(daemon)
    assert blamed[0].task == "leak"
    assert 0.7 * MB < blamed[0].bytes / blamed[0].jobs < 1.4 * MB
    assert blamed[0].bytes > 5 * sum(other.bytes for other in blamed[1:])
    assert not events(daemon, "worker.died")


def test_a_balloon_is_killed_and_its_jobs_history_says_memory(
    start: Start, redis_url: str, tmp_path: Path
) -> None:
    """Long before it has taken all there is."""
    daemon = start(memory_limit_hard=200 * MB, processes=2)
    queue, size = Jobd(redis_url).queue("q"), tmp_path / "size"
    daemon.running(2)
    blown = queue.add("balloon", {"path": str(size)})
    eventually("it is dead", lambda: blown.state() == "dead", within=30)
    info = blown.info()
    assert info is not None
    assert (info.cause, info.crashes) == ("poison", 1)
    assert [line["kind"] for line in info.history] == ["memory"]
    assert int(size.read_text().split()[-1]) < 1900
    [over] = events(daemon, "memory.over_limit")
    assert (over["limit"], over["then"]) == ("200MB", "killed")
    out = tmp_path / "out"
    queue.add("calm", {"path": str(out), "n": 0})
    all_ran_once(daemon, out, 1)
    assert eventually("its end is counted", lambda: causes(daemon)) == {"memory"}


def test_the_kernels_kill_is_told_from_a_kill_by_hand(
    start: Start, redis_url: str, tmp_path: Path
) -> None:
    """The one is an `oom` in the job's history, the other a crash."""
    with memory_group(limit=400 * MB) as group:
        daemon = start()
        (group / "cgroup.procs").write_text(str(daemon.process.pid))
        try:
            [slot] = daemon.running(1)
            queue, size = Jobd(redis_url).queue("q"), tmp_path / "size"
            blown = queue.add("balloon", {"path": str(size)})
            eventually("it is dead", lambda: blown.state() == "dead", within=30)
            info = blown.info()
            assert info is not None
            assert [line["kind"] for line in info.history] == ["oom"], daemon.text()
            waits = queue.add("wait", {"path": str(tmp_path / "out")})
            [(_, pid, _)] = eventually("it runs", lambda: runs(tmp_path / "out"))
            kill(pid, signal.SIGKILL)
            eventually("it is dead", lambda: waits.state() == "dead", within=30)
            info = waits.info()
            assert info is not None
            assert [(line["kind"], line["how"]) for line in info.history] == [("crash", "SIGKILL")]
            assert pid != slot.pid
        finally:
            daemon.signal(signal.SIGTERM)
            daemon.wait()


@pytest.mark.parametrize(("most", "concurrency"), [(1, 1), (600, 1), (40, 3)])
def test_no_worker_runs_more_jobs_than_it_may(
    start: Start, redis_url: str, tmp_path: Path, most: int, concurrency: int
) -> None:
    """However quick they are; what it has claimed beyond goes back and runs elsewhere, once."""
    daemon = start(max_jobs=most, concurrency=concurrency, processes=2)
    queue, out, count = Jobd(redis_url).queue("q"), tmp_path / "out", max(8, 4 * most)
    daemon.running(2)
    queue.add_many([("quick", {"path": str(out), "n": n}) for n in range(count)])
    found = all_ran_once(daemon, out, count)
    by_worker = Counter(pid for _, pid, _ in found)
    assert max(by_worker.values()) <= most * 1.1
    stopped = events(daemon, "worker.stopped")
    assert {event["why"] for event in stopped} == {"max_jobs"}
    assert not events(daemon, "worker.died")


def test_max_age_replaces_a_worker_that_only_waits(start: Start) -> None:
    """One after another, though they were born together."""
    daemon = start(max_age=2.0, processes=2)
    first = {slot.pid for slot in daemon.running(2)}
    eventually("both were replaced", lambda: not first & {s.pid for s in daemon.slots()}, within=20)
    stopped = eventually("they have gone", lambda: events(daemon, "worker.stopped"))
    assert {event["why"] for event in stopped} == {"max_age"}


def test_a_limit_below_what_a_worker_is_born_with_makes_no_storm(start: Start) -> None:
    """It is said, and each next one is left alone for longer."""
    daemon = start(memory_limit=1 * MB)
    daemon.running(1)
    [first, *_] = eventually("it is said", lambda: events(daemon, "memory.limit_too_low"))
    assert (first["slot"], first["limit"]) == ("q.1", "1MB")
    eventually("it has waited", lambda: len(events(daemon, "memory.limit_too_low")) >= 3)
    waits = [event["next_in"] for event in events(daemon, "memory.limit_too_low")]
    assert waits[0] == 0.0
    assert 0.0 < waits[1] < waits[2]


def test_memory_is_shown(start: Start) -> None:
    """What a worker has of its own, and what it has with what it shares."""
    daemon = start()
    [slot] = eventually("it was looked at", lambda: [s for s in daemon.slots() if s.memory])
    assert slot.memory is not None
    assert slot.resident is not None
    assert 1 * MB < slot.memory < slot.resident
    assert os.path.exists(f"/proc/{slot.pid}")
