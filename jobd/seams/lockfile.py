"""The lock of a runtime directory: one daemon each.

Invariant: held exactly as long as the process lives (flock, close on exec); the pid inside is for
people, the lock itself decides.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from jobd.core.errors import AlreadyRunning

NAME = "lock"


def acquire(runtime_dir: Path) -> int:
    """Take the lock and write this pid into it; give the descriptor, which is to be kept open.

    Raises AlreadyRunning, OSError.
    """
    path = runtime_dir / NAME
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise AlreadyRunning(
            f"{path}: held by the daemon with pid {owner}; expected to be free; "
            "stop that daemon, or give this one another daemon.runtime_dir"
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
