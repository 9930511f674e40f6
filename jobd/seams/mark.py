"""The mark of a daemon: what tells the processes that began below it from all others of the machine.

It is a resource limit, inherited by whatever a task starts, however it starts it: through exec, an
empty environment, closed descriptors, a session of its own and a double fork. (A variable of the
environment is not: programs are started without it, and a process that sets its title overwrites it.)
The limit is RLIMIT_RTTIME, the processor time of real-time schedulers in microseconds; the mark is
its soft value, beyond 140,000 years, so that it limits nothing. Its 61 bits are the daemon's nonce.

Invariant: only helpers are marked, between fork and exec, in a session of their own: so every
session and process group with a marked member has no other members.
"""

from __future__ import annotations

import os
import resource

_LIMIT = resource.RLIMIT_RTTIME
_LEAST = 1 << 62


class Mark:
    """The mark of the daemon with this nonce."""

    def __init__(self, nonce: str) -> None:
        self._value = _LEAST | int(nonce, 16) & ((1 << 61) - 1)
        self._words = b" %d " % self._value

    def wear(self) -> None:
        """Mark this process and all it will start. Nothing happens where that is not `possible`."""
        if possible():
            resource.setrlimit(_LIMIT, (self._value, resource.RLIM_INFINITY))

    def is_worn_by(self, pid: int) -> bool:
        """Say whether a process began below this daemon; False when there is none of this pid.

        It may be a zombie.
        """
        try:
            descriptor = os.open(f"/proc/{pid}/limits", os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return False
        try:
            return self._words in os.read(descriptor, 4096)
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)

    def wearers(self) -> list[int]:
        """List the processes that began below this daemon, zombies included."""
        names = os.listdir("/proc")  # noqa: PTH208 - called in a process that shares all its memory
        return [int(name) for name in names if name.isdigit() and self.is_worn_by(int(name))]


def possible() -> bool:
    """Say whether a process here can be marked: not where somebody has set that very limit."""
    soft, hard = resource.getrlimit(_LIMIT)
    return hard == resource.RLIM_INFINITY and (soft == resource.RLIM_INFINITY or soft >= _LEAST)
