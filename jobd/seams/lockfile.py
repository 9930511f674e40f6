"""The lock of a runtime directory: one daemon each.

Invariant: held exactly as long as the process lives (flock); the pid inside is for people, the lock
itself decides. It is closed on exec, but for the one program that a process becomes on purpose.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from jobd.core.errors import AlreadyRunning

NAME = "lock"
_HANDED_OVER = "JOBD_LOCK_FD"


def acquire(runtime_dir: Path) -> int:
    """Take the lock and write this pid into it; give the descriptor, which is to be kept open.

    Raises AlreadyRunning, OSError.
    """
    path = runtime_dir / NAME
    descriptor = _handed_over(path)
    if descriptor is None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        said = os.pread(descriptor, 32, 0).decode("ascii", "replace").split()
        owner = said[0] if said else "unknown"
        os.close(descriptor)
        raise AlreadyRunning(
            f"{path}: held by the daemon with pid {owner}; expected to be free; "
            "stop that daemon, or give this one another daemon.runtime_dir"
        ) from None
    # Not emptied first: the daemon takes it a second time, from its command, and others read it.
    size = os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    os.ftruncate(descriptor, size)
    return descriptor


def hand_over(descriptor: int) -> None:
    """Keep the lock for the program that this process becomes: there is no moment without it."""
    os.set_inheritable(descriptor, True)
    os.environ[_HANDED_OVER] = str(descriptor)


def _handed_over(path: Path) -> int | None:
    said = os.environ.pop(_HANDED_OVER, None)
    if said is None:
        return None
    try:
        descriptor = int(said)
        is_it = os.path.samestat(os.fstat(descriptor), path.stat())
    except (ValueError, OSError):
        return None  # not what was handed over, whatever it is: the lock itself decides
    if not is_it:
        return None
    os.set_inheritable(descriptor, False)
    return descriptor
