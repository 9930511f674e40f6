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

# A killed process needs its last system call to end.
_GONE_WITHIN = 2.0


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


def end_leftovers(kept: Mapping[int, int]) -> Ended:
    """Kill everything that runs below this process but `kept`, and what is below that."""
    give_up_at = mono() + _GONE_WITHIN
    count, is_held = 0, False
    while mono() < give_up_at:
        found = _stopped(kept)
        if not found:
            _collect(kept)
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


def _collect(kept: Mapping[int, int]) -> None:
    """Collect what has ended: Python's own objects first, they are told how; then the rest."""
    subprocess: Any = sys.modules.get("subprocess")
    multiprocessing: Any = sys.modules.get("multiprocessing")
    if subprocess:
        subprocess._cleanup()
    if multiprocessing:
        multiprocessing.active_children()
    spared = kept.keys() | _infrastructure() | held_by_objects()
    for pid in children_of(os.getpid()):
        if pid not in spared:
            host.reap_stray(pid)


def held_by_objects() -> set[int]:
    """Give the pids of those children that objects of this process stand for and will ask about."""
    gc.collect()  # what only a cycle holds, nobody will ask
    pids: set[int] = set()
    multiprocessing: Any = sys.modules.get("multiprocessing.process")
    subprocess: Any = sys.modules.get("subprocess")
    if multiprocessing:
        pids |= {each._popen.pid for each in multiprocessing._children}
    if subprocess:
        kind, given_up = subprocess.Popen, subprocess._active or ()
        # Made after the fork, so not frozen: this looks through what the worker itself has made.
        pids |= {
            each.pid
            for each in gc.get_referrers(kind)
            if isinstance(each, kind) and each.returncode is None and each not in given_up
        }
    return pids
