"""The accident: one worker killed with SIGKILL in the middle of a job."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import psutil

from examples.shop.show.runs import Run, Runs


@dataclass(frozen=True, slots=True)
class Accident:
    """Which worker was killed ("images.1"), when (monotonic), and which job it ran."""

    worker: str
    pid: int
    at: float
    job: str
    task: str


def strike(
    daemon_pid: int, queues: Collection[str], runs: Runs, hear: Callable[[], object]
) -> Accident | None:
    """Kill a worker that runs a job of one of the queues; None when none does at this moment.

    `hear` takes what the tasks wrote until now into `runs`.
    """
    workers = _workers(daemon_pid)
    for run in runs.open():
        # Nobody whose process ended before: each accident is a story of its own.
        is_first = len(runs.by_job[run.job]) == 1
        if is_first and run.queue in queues and run.pid in workers and _hold(run.pid):
            hear()  # what it wrote before it was held; it writes no more
            if at := _kill_in(run):
                return Accident(workers[run.pid], run.pid, at, run.job, run.task)
    return None


def _kill_in(run: Run) -> float | None:
    if run.how is not None:
        os.kill(run.pid, signal.SIGCONT)  # it was quicker; nothing has happened to it
        return None
    at = time.monotonic()
    os.kill(run.pid, signal.SIGKILL)
    return at


def _hold(pid: int) -> bool:
    """Stop a process for a moment, so that what is seen of it stays true. False if it has ended."""
    try:
        os.kill(pid, signal.SIGSTOP)
        while (status := psutil.Process(pid).status()) != psutil.STATUS_STOPPED:
            if status == psutil.STATUS_ZOMBIE:
                return False
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False
    return True


def _workers(daemon_pid: int) -> dict[int, str]:
    """Find the daemon's worker processes by the titles that `ps` shows: pid -> name."""
    found = {}
    for child in psutil.Process(daemon_pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):  # ended while we looked
            title = " ".join(child.cmdline()).strip("\0 ")
            if title.startswith("jobd: worker "):
                found[child.pid] = title.split()[-1]
    return found
