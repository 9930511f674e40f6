"""Whatever tasks have started ends with their worker, and with the daemon, however that ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.daemons import Daemon, eventually, gone
from support.leavings import SOURCE, all_gone, left
from support.started import Started

from jobd import Jobd, JobHandle
from jobd.core.config import QueueConfig
from jobd.seams.mark import Mark

pytestmark = pytest.mark.process


QUEUES = {"q": QueueConfig(processes=1), "other": QueueConfig(processes=1)}


@pytest.fixture
def daemon(tmp_path: Path, redis_url: str) -> Iterator[Daemon]:
    made = Daemon(tmp_path, redis_url, SOURCE, queues=QUEUES)
    made.running(2)
    yield made
    made.end()


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory, own_server: str) -> Iterator[Daemon]:
    """One for all tests that lose no more than a worker of it."""
    made = Daemon(tmp_path_factory.mktemp("standing"), own_server, SOURCE, queues=QUEUES)
    made.running(2)
    yield made
    made.end()


def leave(redis_url: str, path: Path, **how: Any) -> JobHandle:
    return Jobd(redis_url).queue("q").add("leave", {"path": str(path), **how})


def said(daemon: Daemon, event: str) -> list[dict[str, Any]]:
    return daemon.said(event)


def sweepers(daemon: Daemon) -> list[int]:
    found = []
    for process in psutil.Process(daemon.process.pid).children():
        with contextlib.suppress(psutil.Error):  # it ends just now
            # By its whole title: this test's directory, in a helper's arguments, has the word in it too.
            if "".join(process.cmdline()).startswith("jobd: sweeper"):
                found.append(process.pid)
    return found


def test_a_lost_supervisor_leaves_nothing(daemon: Daemon, redis_url: str, tmp_path: Path) -> None:
    """SIGKILL: helpers, workers and all that tasks have started, whatever they did to be alone."""
    leave(redis_url, tmp_path / "pids", how="wait", daemons=False)
    pids = left(tmp_path / "pids", 6)
    family = [process.pid for process in psutil.Process(daemon.process.pid).children(True)]
    mark = Mark(daemon.nonce())
    daemon.process.kill()
    daemon.process.wait()

    all_gone([*pids, *family])
    assert not [pid for pid in mark.wearers() if not gone(pid)]
    # It is told when the sweeper has looked once more and found nobody.
    [swept] = eventually("it is told", lambda: said(daemon, "daemon.swept"))
    assert swept["ended"] >= 3
    assert not swept["left"]


def test_a_lost_worker_leaves_nothing_and_its_neighbours_are_not_touched(
    standing: Daemon, own_server: str, tmp_path: Path
) -> None:
    """Its session, the sessions below it, and what has been taken in by the supervisor."""
    [other] = [slot.pid for slot in standing.slots() if slot.slot == "other.1"]
    job = leave(own_server, tmp_path / "pids", how="wait")
    pids = left(tmp_path / "pids")
    worker = int(eventually("all", lambda: _text(tmp_path / "pids.left")))
    os.kill(worker, signal.SIGKILL)

    all_gone(pids)
    assert other in {slot.pid for slot in standing.running(2)}
    eventually(
        "it is told",
        lambda: any("sleep" in event["names"] for event in said(standing, "strays.ended")),
    )
    assert job.cancel(force=True)


def share(url: str, path: Path, how: str) -> tuple[Path, int]:
    """Have a task share memory; give that, and who is to remove it."""
    Jobd(url).queue("q").add("shares", {"path": str(path), "how": how})
    name, tracker = eventually("it shares", lambda: _text(path)).split()
    return Path("/dev/shm", name), int(tracker)


def test_shared_memory_is_removed_when_its_worker_is_lost(
    standing: Daemon, own_server: str, tmp_path: Path
) -> None:
    """multiprocessing's tracker has the moment it needs; then nothing of it is left either."""
    memory, tracker = share(own_server, tmp_path / "shared", "crash")

    eventually("it is removed", lambda: not memory.exists())
    all_gone([tracker])


def test_shared_memory_is_removed_when_the_supervisor_is_lost(
    daemon: Daemon, redis_url: str, tmp_path: Path
) -> None:
    """By the tracker too, which is then ended by the sweeper."""
    memory, tracker = share(redis_url, tmp_path / "shared", "wait")
    daemon.process.kill()
    daemon.process.wait()

    eventually("it is removed", lambda: not memory.exists())
    all_gone([tracker])


def test_a_stop_leaves_nothing(daemon: Daemon, redis_url: str, tmp_path: Path) -> None:
    """What a job has left running ends with it, or at the latest before the daemon does."""
    job = leave(redis_url, tmp_path / "pids")
    assert job.result("60s") == "return"
    family = [process.pid for process in psutil.Process(daemon.process.pid).children(True)]
    pids = left(tmp_path / "pids")
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0

    assert all(gone(pid) for pid in [*pids, *family]), "gone when it has ended, not after"


def test_a_supervisor_and_its_sweeper_lost_at_once_leave_it_to_the_next_daemon(
    daemon: Daemon, redis_url: str, tmp_path: Path
) -> None:
    """Everything of that name was killed, but not what a task had named otherwise."""
    leave(redis_url, tmp_path / "pids", how="wait", daemons=False)
    pids = left(tmp_path / "pids", 6)
    [sweeper] = eventually("a sweeper", lambda: sweepers(daemon))
    # Stopped first: it would replace the one that is lost before it.
    daemon.signal(signal.SIGSTOP)
    stopped = psutil.Process(daemon.process.pid)
    eventually("it stands still", lambda: stopped.status() == psutil.STATUS_STOPPED)
    os.kill(sweeper, signal.SIGKILL)
    daemon.process.kill()
    daemon.process.wait()
    assert not gone(pids[1])
    daemon.start()

    all_gone(pids)
    daemon.running(2)


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="no prlimit")
def test_where_nobody_can_be_marked_what_is_adopted_ends_all_the_same(
    tmp_path: Path, redis_url: str
) -> None:
    """Somebody has set the very limit: said at the start, and only a SIGKILL leaves something."""
    limited = ("prlimit", "--rttime=900000:900000")
    run = Started(tmp_path / "limited", redis_url, SOURCE, within=limited)
    try:
        run.ready()
        assert run.said("daemon.unmarked")
        leave(redis_url, tmp_path / "pids", how="crash")
        all_gone(left(tmp_path / "pids"))
        run.signal(signal.SIGTERM, signal.SIGQUIT)
        assert run.ended() == 0
    finally:
        run.end()


def test_a_lost_sweeper_is_replaced(daemon: Daemon) -> None:
    """It is watched like any child."""
    before = eventually("a sweeper", lambda: sweepers(daemon))
    os.kill(before[0], signal.SIGKILL)
    after = eventually("another", lambda: [pid for pid in sweepers(daemon) if pid not in before])
    assert len(before + after) == 2
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
