"""The accident: one worker killed with SIGKILL while it runs a job."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass

import psutil

from examples.shop.show.runs import Run, Runs

FRESH = 0.008  # a run that began so many seconds ago is most likely still going


@dataclass(frozen=True, slots=True)
class Accident:
    """Which worker was killed, when (monotonic), and in which run."""

    title: str
    pid: int
    at: float
    run: Run


def workers(daemon_pid: int) -> dict[int, str]:
    """Find the daemon's worker processes by their titles: pid -> title."""
    found = {}
    for child in psutil.Process(daemon_pid).children(recursive=True):
        try:
            title = " ".join(child.cmdline()).strip("\0 ")
        except psutil.Error:
            continue  # ended while we looked
        if "jobd" in title and "worker" in title:
            found[child.pid] = title
    return found


class Culprit:
    """Kills one worker of a daemon, once."""

    def __init__(self, daemon_pid: int) -> None:
        self._daemon_pid = daemon_pid
        self._known: dict[int, str] = {}

    def strike(self, queue: str, runs: Runs) -> Accident | None:
        """Kill a worker of `queue` that has just begun a job; None when none has at this moment."""
        for pid, run in list(runs.by_pid.items()):
            if run.queue != queue or run.how is not None:
                continue
            if pid not in self._known:
                self._known = workers(self._daemon_pid)  # slow: a look at every process there is
            title = self._known.get(pid)
            if title is None or time.monotonic() - run.started_at > FRESH:
                continue
            at = time.monotonic()
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue  # it was quicker
            return Accident(title, pid, at, run)
        return None
