"""The machine has no process, or no file handle, left to give: what runs goes on, the rest waits."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.daemons import Daemon, eventually

from jobd import Jobd
from jobd.core.config import QueueConfig

pytestmark = pytest.mark.process

PIDS = Path("/sys/fs/cgroup/pids")

APP = """
import os
from jobd import Jobd
app = Jobd()
q = app.queue("q")

@q.task()
def pid() -> int:
    return os.getpid()
"""


@pytest.fixture
def daemon(tmp_path: Path, redis_url: str) -> Iterator[Daemon]:
    made = Daemon(tmp_path, redis_url, APP, lease=3.0, queues={"q": QueueConfig(processes=2)})
    made.running(2)
    yield made
    made.end()


def _kill_one(daemon: Daemon) -> int:
    victim, other = (slot.pid for slot in daemon.running(2))
    assert victim is not None
    assert other is not None
    os.kill(victim, signal.SIGKILL)
    return other


def test_without_file_handles_the_others_work_on_and_the_next_comes_when_there_are(
    daemon: Daemon, redis_url: str
) -> None:
    queue = Jobd(redis_url).queue("q")
    supervisor = daemon.process.pid
    before = resource.prlimit(supervisor, resource.RLIMIT_NOFILE)
    # The least that is seen: it may just be reading something.
    handles = min(len(os.listdir(f"/proc/{supervisor}/fd")) for _ in range(50))
    resource.prlimit(supervisor, resource.RLIMIT_NOFILE, (handles + 3, before[1]))
    other = _kill_one(daemon)
    eventually("the refusal", lambda: "file handles" in daemon.text())
    assert {queue.add("pid").result("60s") for _ in range(3)} == {other}
    assert daemon.process.poll() is None

    resource.prlimit(supervisor, resource.RLIMIT_NOFILE, before)
    daemon.running(2)
    assert daemon.process.poll() is None


@contextmanager
def _few_processes(pid: int) -> Iterator[None]:
    """Let a process and what it forks be as many as there are, and no more."""
    group = PIDS / f"jobd-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as refused:
        pytest.skip(f"no control group for processes: {refused}")
    home = PIDS / "cgroup.procs"
    try:
        (group / "cgroup.procs").write_text(str(pid))
        (group / "pids.max").write_text("1")
        yield
    finally:
        for member in (group / "cgroup.procs").read_text().split():
            home.write_text(member)
        group.rmdir()


def test_where_fork_is_refused_the_others_work_on_and_the_next_comes_when_it_is_not(
    daemon: Daemon, redis_url: str
) -> None:
    queue = Jobd(redis_url).queue("q")
    [preloader] = [
        pid
        for pid in map(int, filter(str.isdigit, os.listdir("/proc")))
        if b"preloader" in _command_line(pid)
        and f"PPid:\t{daemon.process.pid}\n" in Path(f"/proc/{pid}/status").read_text()
    ]
    with _few_processes(preloader):
        other = _kill_one(daemon)
        eventually("the refusal", lambda: "Resource temporarily unavailable" in daemon.text())
        assert {queue.add("pid").result("60s") for _ in range(3)} == {other}
    daemon.running(2)


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
