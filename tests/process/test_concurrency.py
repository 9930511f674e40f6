"""Several jobs at once in the workers of a real daemon: who is killed, and who pays for it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.daemons import Daemon, eventually

from jobd import Jobd, JobFailed, JobHandle, Queue
from jobd.core.config import QueueConfig

pytestmark = pytest.mark.process

APP = """
import asyncio, ctypes, os, signal, time
from pathlib import Path
from jobd import Job, Jobd

app = Jobd()

def mark(path: str) -> None:
    with open(path, "a") as file:
        file.write("started\\n")

def hold(path: str) -> None:
    while not os.path.exists(path):
        time.sleep(0.01)

# One C call that does not let the GIL go.
hold_gil = ctypes.PyDLL(None).usleep

for name, is_async in (("threads", False), ("asyncio", True)):
    q = app.queue(name, attempts=3)

    @q.task()
    def waits(mine: str, go: str) -> str:
        mark(mine)
        hold(go)
        return "waited"

    @q.task()
    def quick() -> int:
        return os.getpid()

    @q.task(timeout="700ms", attempts=1)
    def overstays() -> None:
        time.sleep(60)

    @q.task(max_crashes=2)
    def crashes(job: Job) -> None:
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGKILL)

    @q.task()
    def hogs(mine: str) -> str:
        mark(mine)
        hold_gil(1_500_000)
        return "hogged"

    if is_async:
        @q.task()
        async def waits_async(mine: str, go: str) -> str:
            mark(mine)
            while not os.path.exists(go):
                await asyncio.sleep(0.01)
            return "waited"

single = app.queue("single")
plain = app.queue("plain")

@plain.task(soft_timeout="200ms")
def sleeps() -> None:
    time.sleep(60)

@plain.task(soft_timeout="100ms", timeout="900ms")
def swallows() -> None:
    while True:
        try:
            time.sleep(60)
        except Exception:
            continue

@plain.task(soft_timeout="5ms")
def races(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass

@plain.task()
def works() -> None: ...

@single.task()
async def alone() -> int:
    await asyncio.sleep(0.01)
    return os.getpid()
"""


SEVERAL = ("threads", "asyncio")
QUEUES = {name: QueueConfig(concurrency=4) for name in SEVERAL} | {"single": QueueConfig()}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, own_server: str) -> Iterator[Daemon]:
    """One for all tests here but that of its stop: whoever is killed has a successor."""
    made = Daemon(tmp_path_factory.mktemp("daemon"), own_server, APP, queues=QUEUES)
    try:
        made.running(4)  # each queue that the application declares has one
        yield made
    finally:
        made.end()


@pytest.fixture(params=SEVERAL)
def queue(request: pytest.FixtureRequest, daemon: Daemon, own_server: str) -> Queue:
    return Jobd(own_server).queue(request.param)


@pytest.fixture
def plain(daemon: Daemon, own_server: str) -> Queue:
    """A queue whose worker runs one job at a time, in its main thread."""
    return Jobd(own_server).queue("plain")


def test_a_soft_timeout_ends_a_wait_of_the_main_thread(plain: Queue) -> None:
    """It does not come when the wait is over, but when it is due."""
    handle = plain.add("sleeps")
    with pytest.raises(JobFailed, match="SoftTimeout"):
        handle.result("60s")
    info = handle.info()
    assert info is not None
    [run] = info.history
    assert (run["kind"], info.timeouts) == ("soft_timeout", 0)
    assert 200 <= run["ran_ms"] < 30_000
    assert "in sleeps" in run["traceback"]


def test_a_swallowed_soft_timeout_is_followed_by_the_hard_one(plain: Queue) -> None:
    """Nothing that a task does keeps its process alive."""
    handle = plain.add("swallows")
    with pytest.raises(JobFailed) as failed:
        handle.result("60s")
    assert failed.value.cause == "timeout"


def test_an_alarm_hits_nobody_else(plain: Queue) -> None:
    """Runs that end at about their deadline, with others between them."""
    added = [
        plain.add(*job)
        for n in range(150)
        for job in (("races", {"seconds": 0.004 + n % 20 / 10_000}), ("works", {}))
    ]
    eventually("all have ended", lambda: all(h.state() in ("completed", "dead") for h in added))
    assert [handle.state() for handle in added[1::2]] == ["completed"] * 150
    dead = [info for h in added[::2] if (info := h.info()) is not None and info.state == "dead"]
    assert {info.history[-1]["kind"] for info in dead} == {"soft_timeout"}


def waiting(queue: Queue, top: Path, count: int) -> list[tuple[JobHandle[Any], Path]]:
    """Start jobs that run until `go` is there."""
    task = "waits_async" if queue.name == "asyncio" else "waits"
    started = []
    for n in range(count):
        mine = top / f"mine.{queue.name}.{n}"
        handle = queue.add(task, {"mine": str(mine), "go": str(top / "go")})
        started.append((handle, mine))
    for _, mine in started:
        eventually("it has started", mine.exists)
    return started


def times(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_an_async_task_runs_where_nothing_was_said_of_concurrency(
    daemon: Daemon, own_server: str
) -> None:
    """One at a time, on an event loop."""
    assert Jobd(own_server).queue("single").add("alone").result("60s") > 0


def test_a_timeout_is_charged_to_one(queue: Queue, tmp_path: Path) -> None:
    """Its neighbours are killed with it, and run again at no cost."""
    [(neighbour, mine)] = waiting(queue, tmp_path, 1)
    late = queue.add("overstays")
    with pytest.raises(JobFailed) as failed:
        late.result("60s")
    assert failed.value.cause == "timeout"

    eventually("it runs again", lambda: times(mine) == 2)
    (tmp_path / "go").touch()
    assert neighbour.result("60s") == "waited"
    info, culprit = neighbour.info(), late.info()
    assert info is not None
    assert culprit is not None
    assert (info.timeouts, info.failed, info.crashes, info.interrupted) == (0, 0, 0, 1)
    assert (culprit.timeouts, [run["kind"] for run in culprit.history]) == (1, ["timeout"])


def test_a_crash_is_found_out_and_its_neighbours_go_free(queue: Queue, tmp_path: Path) -> None:
    """Suspected at first with the others; then alone, and only that is counted."""
    neighbours = waiting(queue, tmp_path, 3)
    guilty = queue.add("crashes")
    eventually("one runs again", lambda: any(times(mine) > 1 for _, mine in neighbours))
    (tmp_path / "go").touch()
    with pytest.raises(JobFailed) as failed:
        guilty.result("60s")
    assert failed.value.cause == "poison"

    culprit = guilty.info()
    assert culprit is not None
    assert culprit.crashes == 2
    assert culprit.history[0]["among"] == 4
    assert "among" not in culprit.history[-1]
    for handle, _ in neighbours:
        assert handle.result("60s") == "waited"
        info = handle.info()
        assert info is not None
        assert info.crashes == 0


def test_a_killed_worker_loses_nothing(queue: Queue, tmp_path: Path) -> None:
    """All that ran runs again."""
    pid = queue.add("quick").result("60s")
    neighbours = waiting(queue, tmp_path, 4)
    os.kill(pid, signal.SIGKILL)
    (tmp_path / "go").touch()
    assert [handle.result("60s") for handle, _ in neighbours] == ["waited"] * 4


def test_a_stop_waits_for_all_that_run(tmp_path: Path, redis_url: str) -> None:
    """And takes nothing on meanwhile: on threads and on an event loop."""
    daemon = Daemon(tmp_path, redis_url, APP, queues=QUEUES, drain=600.0)
    try:
        queues = [Jobd(redis_url).queue(name) for name in SEVERAL]
        neighbours = [each for queue in queues for each in waiting(queue, tmp_path, 4)]
        rest = [queue.add("quick") for queue in queues for _ in range(3)]
        daemon.signal(signal.SIGTERM)
        eventually("it drains", lambda: "draining" in daemon.text())
        (tmp_path / "go").touch()
        assert daemon.wait() == 0
    finally:
        daemon.end()
    assert [handle.state() for handle, _ in neighbours] == ["completed"] * 8
    assert [times(mine) for _, mine in neighbours] == [1] * 8
    assert [handle.state() for handle in rest] == ["waiting"] * 6


def test_nothing_waits_behind_a_task_that_holds_the_gil(
    queue: Queue, tmp_path: Path, own_server: str
) -> None:
    """Its neighbours cannot start; the keeper takes them back, and each runs once."""
    mine = tmp_path / "mine"
    store = Jobd(own_server).producer.views()
    before = store.counts(queue.name)["completed"]
    handles = [queue.add("hogs", {"mine": str(mine)})]
    handles += [queue.add("quick") for _ in range(8)]
    for handle in handles:
        handle.result("60s")
    assert times(mine) == 1
    assert store.counts(queue.name)["completed"] == before + 9
