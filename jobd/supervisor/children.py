"""The child processes the loop holds: a pidfd for each, a channel for each helper.

Invariant: a child is in exactly one of the two tables from the moment its pid is known until its
end was collected; signals go through its pidfd. Called by jobd.supervisor.loop.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path

from jobd.core.errors import HostError
from jobd.seams import host
from jobd.seams.exits import Exit
from jobd.seams.lines import Lines, pair

# How many ended sessions are remembered, to end what their workers have left running.
_REMEMBERED = 1024


class Child:
    """One process. `channel` is None for workers."""

    def __init__(self, pid: int, pidfd: int, channel: Lines | None = None) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.channel = channel

    def close(self) -> None:
        """Let go of its descriptors."""
        os.close(self.pidfd)
        if self.channel is not None:
            self.channel.close()


class Children:
    """All children, by what they are called: a helper's name or a worker's incarnation."""

    def __init__(self) -> None:
        self.helpers: dict[str, Child] = {}
        self.workers: dict[str, Child] = {}
        # What runs before the first child is somebody else's: a server `jobd dev` has started, say.
        self._foreign = frozenset(host.children())
        self._sessions: dict[int, None] = {}

    def start_helper(self, name: str, argv: list[str]) -> Child | None:
        """Start a helper; `{fd}` in `argv` becomes its end of the channel. None when refused."""
        channel, theirs = pair()
        with theirs:
            fd = theirs.fileno()
            try:
                pid = host.spawn([word.replace("{fd}", str(fd)) for word in argv], keep=[fd])
            except (OSError, HostError):
                channel.close()
                return None
        pidfd = host.open_pid(pid)
        assert pidfd is not None  # it is our child and nobody has waited for it
        child = self.helpers[name] = Child(pid, pidfd, channel)
        return child

    def watch(self, incarnation: str, pid: int) -> Child | None:
        """Hold a worker; None when it has ended and is gone."""
        pidfd = host.open_pid(pid)
        if pidfd is None:
            return None
        child = self.workers[incarnation] = Child(pid, pidfd)
        return child

    def ended(self, table: Mapping[str, Child], name: str) -> Exit | None:
        """Tell how it ended, or None while it runs."""
        return host.reap(table[name].pidfd)

    def drop(self, table: dict[str, Child], name: str) -> None:
        """Forget one that has ended."""
        child = table.pop(name)
        self._sessions[child.pid] = None
        while len(self._sessions) > _REMEMBERED:
            del self._sessions[next(iter(self._sessions))]
        child.close()

    def end_strays(self, *, forking: bool) -> None:
        """Collect adopted zombies, and end what ended workers have left running in their session.

        While a fork order is open an unknown child may be the worker it asked for: it is kept.
        """
        ours = {child.pid for child in (*self.helpers.values(), *self.workers.values())}
        for pid in host.children():
            if pid in ours or pid in self._foreign:
                continue
            found = host.stat(pid)
            if found is not None and found.session != pid and found.session in self._sessions:
                kill_child(pid)
            if found is not None and found.state == "Z" and not forking:
                host.reap_stray(pid)


def kill_child(pid: int) -> None:
    """SIGKILL a process if it is a child of this one."""
    pidfd = host.open_pid(pid)
    if pidfd is None:
        return
    found = host.stat(pid)
    if found is not None and found.parent == os.getpid():
        host.send(pidfd, signal.SIGKILL)
    os.close(pidfd)


def unlink(path: str) -> None:
    """Remove a predecessor's scoreboard."""
    Path(path).unlink(missing_ok=True)
