"""Ending whatever began below a daemon, and the sweeper that does it when the daemon cannot.

The sweeper is a child of the supervisor that shares its memory, waits for its end and does nothing
else. The kernel ends helpers and workers with the supervisor; what tasks have started, nobody would.

Invariant: a process is killed only by a pidfd that was opened before its mark was read, so never a
stranger that got the same number. An orderly end dismisses the sweeper before the supervisor ends.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
from collections.abc import Callable
from typing import NamedTuple, NoReturn

from setproctitle import setproctitle

from jobd.seams import clock, host
from jobd.seams.mark import Mark

# What a killed process needs to be gone; then it is looked again.
_BETWEEN = 0.005
# Beyond this a process is in a system call that does not end, or belongs to another user.
_PATIENCE = 30.0
_SLOWEST = 0.5
_MOST_ROUNDS = 10
TRACKERS_END_WITHIN = 1.0
"""What multiprocessing leaves to clean up is given so long for it."""


class Swept(NamedTuple):
    """What a sweep has done."""

    killed: frozenset[int]
    left: frozenset[int]
    """Those that would not end, or that this user may not kill."""


def sweep(mark: Mark, *, patience: float = _PATIENCE) -> Swept:
    """Kill all who wear the mark, until two looks in a row find nobody or nothing is got rid of.

    Who removes shared memory when its users are gone has a moment to do so.
    """
    killed: set[int] = set()
    left: set[int] = set()
    began = clock.mono()
    give_up_at = began + patience
    pause = _BETWEEN
    quiet = 0
    while quiet < 2 and clock.mono() < give_up_at:
        sparing = clock.mono() < began + TRACKERS_END_WITHIN
        left = _stopped(mark, sparing)
        for pid in left:
            _signal(mark, pid, signal.SIGKILL)
        if fresh := left - killed:
            give_up_at = clock.mono() + patience
        killed |= left
        nobody = not left and not (sparing and any(map(host.is_tracker, mark.wearers())))
        quiet = quiet + 1 if nobody else 0
        pause = _BETWEEN if fresh or not left else min(2 * pause, _SLOWEST)
        clock.pause(pause)
    return Swept(frozenset(killed - left), frozenset(left))


def _stopped(mark: Mark, sparing: bool) -> set[int]:
    """Stop all who wear the mark, and give them.

    All are stopped before the first is killed: who is stopped starts nobody and gives no number free,
    so this ends also where they multiply. Where they do so faster than they are stopped, some will do.
    """
    stopped: set[int] = set()
    for _ in range(_MOST_ROUNDS):
        found = {pid for pid in mark.wearers() if not (sparing and host.is_tracker(pid))}
        found = {pid for pid in found if pid in stopped or _signal(mark, pid, signal.SIGSTOP)}
        if found <= stopped:
            return {pid for pid in found if _signal(mark, pid, 0)}
        stopped |= found
    return stopped


def _signal(mark: Mark, pid: int, number: int) -> bool:
    """Signal a process that wears the mark; False when there is nobody to signal."""
    pidfd = host.open_pid(pid)
    if pidfd is None:
        return False
    try:
        if not mark.is_worn_by(pid) or host.ended(pidfd):
            return False
        with contextlib.suppress(PermissionError):  # a program of another user: it is left
            host.send(pidfd, number)
        return True
    finally:
        os.close(pidfd)


def start_sweeper(mark: Mark, report: Callable[[Swept], None]) -> int:
    """Fork the sweeper of this process; give its pid. Raises as `host.fork`.

    It reports what it has swept, if it was anything.
    """
    # What lives now is shared: collecting garbage among it would copy the pages it is on.
    gc.collect()
    gc.freeze()
    watched = host.open_pid(os.getpid())
    assert watched is not None  # this very process
    try:
        pid = host.fork()
        if pid == 0:
            _watch(watched, mark, report)
    finally:
        os.close(watched)
    return pid


def _watch(watched: int, mark: Mark, report: Callable[[Swept], None]) -> NoReturn:
    code = 1
    try:
        os.setsid()
        host.null_stdin()
        host.close_all_but({0, 1, 2, watched})
        # Only KILL ends it: who ends everything of a name, or of a control group, means the daemon.
        host.ignore_signals()
        setproctitle("jobd: sweeper")
        host.ended(watched, None)
        host.hurry()
        swept = sweep(mark)
        if swept.killed or swept.left:
            report(swept)
        code = 0
    except BaseException as failure:  # noqa: BLE001 - the child of a fork must never return
        sys.stderr.write(f"jobd: the sweeper failed: {failure!r}\n")
    finally:
        os._exit(code)
