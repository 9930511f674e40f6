"""What began below a daemon is found and ended, whatever it has done to be alone; nobody else is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.daemons import eventually, gone

from jobd.seams import host
from jobd.seams.mark import Mark, possible
from jobd.seams.sweep import sweep

# Writes the pids of processes that have done all they can to be nobody's.
ESCAPES = """
import ctypes, os, subprocess, sys, time
def tell(pid):
    with open(sys.argv[1], "a") as file:
        file.write(f"{pid}\\n")
plain = {"stdin": -3, "stdout": -3, "stderr": -3}
tell(subprocess.Popen(["sleep", "600"], **plain).pid)
tell(subprocess.Popen(["/bin/sleep", "600"], env={}, start_new_session=True, **plain).pid)
if os.fork() == 0:                     # a daemon of the old school, that hears nothing
    os.setsid()
    if os.fork() == 0:
        os.chdir("/"); os.umask(0); os.environ.clear(); os.closerange(0, 100)
        ctypes.CDLL(None).prctl(15, b"innocent", 0, 0, 0)
        import signal
        for number in signal.valid_signals():
            try: signal.signal(number, signal.SIG_IGN)
            except OSError: pass
        tell(os.getpid())
        time.sleep(600)
    os._exit(0)
os.wait()
tell(os.getpid())
time.sleep(600)
"""


@pytest.fixture
def mark() -> Iterator[Mark]:
    made = Mark(host.nonce())
    yield made
    sweep(made)


def pids(path: Path, count: int) -> list[int]:
    def look() -> list[int]:
        found = [int(word) for word in path.read_text().split()] if path.exists() else []
        return found if len(found) == count else []

    return eventually(f"{count} processes", look)


def test_whoever_began_below_is_ended_and_nobody_else(tmp_path: Path, mark: Mark) -> None:
    """Sessions, environments, descriptors and names are left behind; the mark is not."""
    other = Mark(host.nonce())
    stranger = host.spawn([sys.executable, "-c", "import time; time.sleep(600)"], first=other.wear)
    top = host.spawn([sys.executable, "-c", ESCAPES, str(tmp_path / "pids")], first=mark.wear)
    below = pids(tmp_path / "pids", 4)
    swept = sweep(mark)

    assert set(below) | {top} == swept.killed
    assert not swept.left
    assert all(gone(pid) for pid in below)
    assert not gone(stranger)
    assert not sweep(mark).killed, "a zombie is nobody"
    assert sweep(other).killed == {stranger}
    for pid in (top, stranger):
        os.waitpid(pid, 0)


def test_a_limit_that_somebody_has_set_is_left_alone(mark: Mark) -> None:
    """There nobody can be marked, and that can be known."""
    code = (
        "import os, resource, sys; from jobd.seams.mark import Mark, possible\n"
        "resource.setrlimit(resource.RLIMIT_RTTIME, (5000, 9000))\n"
        f"mark = Mark('{host.nonce()}'); mark.wear()\n"
        "assert resource.getrlimit(resource.RLIMIT_RTTIME) == (5000, 9000)\n"
        "sys.exit(possible() or mark.is_worn_by(os.getpid()))"
    )
    assert possible()
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


SWEPT = """
import os, sys, time
from jobd.seams import host
from jobd.seams.mark import Mark
from jobd.seams.sweep import start_sweeper
mark = Mark(sys.argv[2])
def report(swept):
    os.write(1, f"swept {len(swept.killed)} {len(swept.left)}\\n".encode())
print(start_sweeper(mark, report), flush=True)
host.spawn([sys.executable, "-c", sys.argv[3], sys.argv[1]], first=mark.wear)
time.sleep(600)
"""


def test_the_sweeper_outlives_its_parent_by_a_sweep(tmp_path: Path) -> None:
    """It hears no signal but KILL, holds nothing of its parent's, and ends when it is done."""
    parent = subprocess.Popen(
        [sys.executable, "-c", SWEPT, str(tmp_path / "pids"), host.nonce(), ESCAPES],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert parent.stdout is not None
    sweeper = int(parent.stdout.readline())
    below = pids(tmp_path / "pids", 4)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGABRT):
        os.kill(sweeper, number)
    held = [os.readlink(f"/proc/{sweeper}/fd/{fd}") for fd in os.listdir(f"/proc/{sweeper}/fd")]
    parent.kill()
    parent.wait()

    eventually("everybody is gone", lambda: all(gone(pid) for pid in below))
    # The program they were in dies with its parent by itself; it may have been counted or not.
    assert parent.stdout.readline() in {"swept 3 0\n", "swept 4 0\n"}
    eventually("the sweeper too", lambda: gone(sweeper))
    parent.stdout.close()
    assert sum("pidfd" in name for name in held) == 1
    assert len(held) == 4


def test_a_sweeper_whose_daemon_ended_in_order_is_dismissed() -> None:
    """Killed before its parent ends, it sweeps nothing and leaves no zombie: see `Children`."""
    code = (
        "import os, signal; from jobd.seams import host; from jobd.seams.mark import Mark\n"
        "from jobd.seams.sweep import start_sweeper\n"
        "pid = start_sweeper(Mark(host.nonce()), lambda swept: os.write(2, b'swept'))\n"
        "os.kill(pid, signal.SIGKILL); os.waitpid(pid, 0); print(pid)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert gone(int(done.stdout))
    assert done.stderr == ""
