"""Tasks that leave processes behind, as source of an application, and how to see what is left."""

from __future__ import annotations

import os
from pathlib import Path

from support.daemons import eventually, gone

# `leave` writes the pid of each process it starts, and then ends, waits or crashes.
SOURCE = '''
import ctypes, multiprocessing, os, signal, subprocess, time
from jobd import Job, Jobd

app = Jobd()
q = app.queue("q", attempts=5, max_crashes=5)

def note(path, pid):
    with open(path, "a") as file:
        file.write(f"{pid}\\n")

def busy(path):
    """A child of a pool that computes, and hears nothing."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    note(path, os.getpid())
    while True:
        sum(range(1000)); time.sleep(0.001)

def daemon(path):
    """The old school: fork, session, fork, nothing of before."""
    middle = os.fork()
    if middle == 0:
        os.setsid()
        if os.fork() == 0:
            pid = os.getpid()
            note(path, pid)
            os.chdir("/")
            os.environ.clear()
            ctypes.CDLL(None).prctl(15, b"innocent", 0, 0, 0)
            os.closerange(0, 1000)
            for number in signal.valid_signals():
                try: signal.signal(number, signal.SIG_IGN)
                except OSError: pass
            while True:
                time.sleep(60)
        os._exit(0)
    os.waitpid(middle, 0)

def pool(path):
    context = multiprocessing.get_context("fork")
    for _ in range(2):
        context.Process(target=busy, args=(path,), daemon=True).start()

@q.task()
def leave(path: str, how: str = "return", daemons: bool = True) -> str:
    quiet = {"stdin": -3, "stdout": -3, "stderr": -3}
    note(path, subprocess.Popen(["sleep", "600"], **quiet).pid)
    note(path, subprocess.Popen(["/bin/sleep", "600"], env={}, start_new_session=True, **quiet).pid)
    shell = "sleep 600 & echo $! >> $0; wait"
    note(path, subprocess.Popen(["sh", "-c", shell, path], start_new_session=True, **quiet).pid)
    pool(path)
    if daemons:
        daemon(path)
    while sum(1 for _ in open(path)) < 6 + daemons:
        time.sleep(0.01)
    with open(path + ".left", "w") as file:
        file.write(str(os.getpid()))
    if how == "wait":
        time.sleep(600)
    if how == "crash":
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGKILL)
    return how

@q.task()
def shares(path: str, how: str) -> None:
    """Shared memory, which multiprocessing has somebody remove who waits for our end."""
    from multiprocessing import resource_tracker, shared_memory
    memory = shared_memory.SharedMemory(create=True, size=4096)
    pid = resource_tracker._resource_tracker._pid
    with open(path + ".new", "w") as file:
        file.write(f"{memory.name} {pid}")
    os.rename(path + ".new", path)
    if how == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(600)

@q.task()
def answer(n: int) -> int:
    return 2 * n
'''

ALL = 7
"""So many processes `leave` leaves: three programs, one below a shell, a pool of two, a daemon."""


def left(path: Path, count: int = ALL) -> list[int]:
    """Wait until `leave` has started all; give their pids."""

    def look() -> list[int]:
        found = [int(word) for word in path.read_text().split()] if path.exists() else []
        return found if len(found) >= count else []

    return eventually(f"{count} processes left by a task", look)


def all_gone(pids: list[int]) -> None:
    """Wait until none of them runs, and say which does."""
    try:
        eventually("nothing is left running", lambda: all(gone(pid) for pid in pids))
    except AssertionError as late:
        still = {pid: _words(pid) for pid in pids if not gone(pid)}
        raise AssertionError(f"{late}: {still}") from None


def _words(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline") as file:
            return f"{file.read()} {os.getsid(pid)}"
    except OSError:
        return "gone by now"
