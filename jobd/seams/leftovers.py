"""Processes that a job has started and left running: found and ended, all of them.

A worker is a subreaper: what a job starts stays below it, also what forks twice and opens a session of
its own. So "below this process, and not there before" is the whole search, and no process of anybody
else's is ever looked at. All are stopped before the first is killed: a stopped process forks no more
and gives no number free, so this ends also where they multiply.

Used by jobd.worker.pristine while no job runs in the process.
"""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jobd.seams import host
from jobd.seams.clock import mono

GONE_WITHIN = 2.0
"""Seconds: a killed process needs its last system call to end."""


def has_children() -> bool:
    """Tell whether this process has children, dead or alive. Costs 2 us."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def children_of(pid: int) -> list[int]:
    """List a process' children, zombies included: those that any of its threads has started."""
    found: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208  once for each process of a tree
        for thread in threads:
            found += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split())
    except (FileNotFoundError, ProcessLookupError):
        pass  # it has ended, or one of its threads has: the next look finds who is whose child then
    return found


def known_children() -> dict[int, int]:
    """Say who is there now: pid and start, since a number may be given again."""
    return {pid: host.start_ticks(pid) for pid in children_of(os.getpid())}


class Ended(NamedTuple):
    """What became of a job's leftovers."""

    processes: int
    """So many were running."""
    held: bool = False
    """An object of this process stands for one of them, and would find it dead."""
    all: bool = True


class Leftovers:
    """What is below this process and was not when this was made. After `within` seconds it gives up."""

    def __init__(self, within: float = GONE_WITHIN) -> None:
        self._within = within
        self._kept = known_children()
        self._dead: set[int] = (
            set()
        )  # zombies that were there at the last look, of whom nobody has asked

    def end(self) -> Ended:
        """Kill all that runs, and collect what has ended."""
        give_up_at = mono() + self._within
        count, is_held = 0, False
        while mono() < give_up_at:
            found = _stopped(self._kept)
            if not found:
                self._collect(_zombies(self._kept))
                return Ended(count, is_held)
            is_held = is_held or not held_by_objects().isdisjoint(found)
            for pidfd in found.values():
                host.send(pidfd, signal.SIGKILL)
            for pidfd in found.values():
                count += host.ended(pidfd, max(0.0, give_up_at - mono()))
                os.close(pidfd)
            if is_held:
                # A pool makes new ones as fast as its own are killed. Who asked for this ends, and with
                # it the thread that makes them; what is left then is ended by the supervisor.
                return Ended(count, is_held)
        return Ended(count, all=False)

    def collect_old(self) -> None:
        """Collect those that had ended by the last time already: while jobs run, one of them may be
        about to ask how its own process ended."""
        dead = set(_zombies(self._kept)) if has_children() else set()
        self._collect(sorted(dead & self._dead))
        self._dead = dead

    def _collect(self, zombies: list[int]) -> None:
        """Let Python's own objects hear first how theirs ended; of those nobody has asked yet, none is
        taken, and they are looked at only once."""
        if not zombies:
            return
        subprocess: Any = sys.modules.get("subprocess")
        multiprocessing: Any = sys.modules.get("multiprocessing")
        if subprocess:
            subprocess._cleanup()
        if multiprocessing:
            multiprocessing.active_children()
        held = held_by_objects() | _infrastructure()
        for pid in zombies:
            if pid in held:
                self._kept[pid] = host.start_ticks(pid)
            else:
                host.reap_stray(pid)


def _zombies(kept: Mapping[int, int]) -> list[int]:
    """List the children that have ended, but for those that are known."""
    found = []
    for pid in children_of(os.getpid()):
        stat = host.stat(pid)
        if stat is not None and stat.state == "Z" and kept.get(pid) != stat.start_ticks:
            found.append(pid)
    return found


def _stopped(kept: Mapping[int, int]) -> dict[int, int]:
    """Stop all that run below this process; give a pidfd of each."""
    held: dict[int, int] = {}
    try:
        while True:
            fresh = [pair for pair in _below(os.getpid(), kept) if pair[0] not in held]
            if not fresh:
                return held
            for pid, parent in fresh:
                if (pidfd := _open(pid, parent)) is not None:
                    held[pid] = pidfd
                    host.send(pidfd, signal.SIGSTOP)
    except OSError as refused:
        if refused.errno in (errno.EMFILE, errno.ENFILE):
            return held  # these first
        raise


def _below(top: int, kept: Mapping[int, int]) -> Iterator[tuple[int, int]]:
    """Walk down the tree: each running process, with its parent."""
    for pid in children_of(top):
        if pid in kept and host.start_ticks(pid) == kept[pid]:
            continue
        yield from _below(pid, kept)
        found = host.stat(pid)
        if found is not None and found.state not in "ZX" and pid not in _infrastructure():
            yield pid, top


def _open(pid: int, parent: int) -> int | None:
    """Open one that is still whose child it was; another is found at the next look, if it is ours."""
    pidfd = host.open_pid(pid)
    if pidfd is None:
        return None
    found = host.stat(pid)
    if found is None or found.parent != parent or found.state in "ZX":
        os.close(pidfd)
        return None
    return pidfd


def _infrastructure() -> set[int]:
    """Name the processes that multiprocessing keeps for the life of a process, whatever runs there.

    The tracker removes what was left in /dev/shm once this process has ended.
    """
    tracker: Any = sys.modules.get("multiprocessing.resource_tracker")
    server: Any = sys.modules.get("multiprocessing.forkserver")
    pids = {tracker._resource_tracker._pid} if tracker else set()
    return pids | ({server._forkserver._forkserver_pid} if server else set())


def held_by_objects() -> set[int]:
    """Give the pids of those children that objects of this process stand for and will ask about."""
    gc.collect()  # what only a cycle holds, nobody will ask
    pids: set[int] = set()
    multiprocessing: Any = sys.modules.get("multiprocessing.process")
    subprocess: Any = sys.modules.get("subprocess")
    if multiprocessing:
        started = [each._popen for each in tuple(multiprocessing._children)]
        pids |= {popen.pid for popen in started if popen is not None}
    if subprocess:
        kind, given_up = subprocess.Popen, subprocess._active or ()
        # Made after the fork, so not frozen: this looks through what the worker itself has made.
        pids |= {
            each.pid
            for each in gc.get_referrers(kind)
            if isinstance(each, kind) and each.returncode is None and each not in given_up
        }
    return pids
