"""Stopping one thread of a process, and no other: what a deadlock looks like from outside.

By ptrace, from a process of its own, which holds the thread until it is told to let go. Needs the right
to trace: same user, and no seccomp filter that forbids it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HOLDS = """
import ctypes, os, sys
ptrace = ctypes.CDLL(None, use_errno=True).ptrace
tid = ctypes.c_long(int(sys.argv[1]))
for request in (0x4206, 0x4207):  # SEIZE, INTERRUPT
    if ptrace(ctypes.c_long(request), tid, None, None) < 0:
        sys.exit(os.strerror(ctypes.get_errno()))
os.waitpid(tid.value, 0x40000000)  # __WALL
print("held", flush=True)
try:
    while True:  # until it has ended: a thread is not gone before its tracer has seen that
        _, status = os.waitpid(tid.value, 0x40000000)
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            break
except ChildProcessError:
    pass
"""


def other_thread(pid: int) -> int:
    """Find the one thread beside the main one."""
    found = {int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()} - {pid}
    assert len(found) == 1, found
    return found.pop()


@contextmanager
def held(tid: int) -> Iterator[None]:
    """Stop a thread for as long as this lasts."""
    holder = subprocess.Popen([sys.executable, "-c", _HOLDS, str(tid)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == b"held\n", "no ptrace here"
        yield
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
