"""A host, as far as jobd can tell: one daemon, its runtime directory, and all of its processes."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil
from support.daemons import Daemon, eventually, gone

from jobd.core.config import QueueConfig
from jobd.core.schedule import Declared
from jobd.seams.scoreboard import Scoreboard
from jobd.seams.scoreboard_views import PageView, Phase

_SKEW = """
import datetime, time

_time, _time_ns, _by = time.time, time.time_ns, datetime.timedelta(seconds={by})

class Skewed(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(_time(), tz) + _by

time.time = lambda: _time() + {by}
time.time_ns = lambda: _time_ns() + int({by} * 1e9)
datetime.datetime = Skewed
"""


class Host:
    """One daemon that serves the queue `q` of an application, and can be hurt as a whole."""

    def __init__(
        self,
        directory: Path,
        url: str,
        app: str,
        *,
        name: str,
        workers: int,
        lease: float,
        drain: float = 10.0,
        options: dict[str, Any] | None = None,
        schedules: list[Declared] | None = None,
        skew: float = 0.0,
        limits: dict[str, Any] | None = None,
        max_jobs: int = 0,
        concurrency: int = 1,
    ) -> None:
        """`skew`: by how many seconds its wall clock is wrong."""
        top = directory / name
        top.mkdir()
        self.name = name
        self.lease = lease
        self.workers = workers
        queue = QueueConfig(
            processes=workers,
            options=options or {},
            limits=limits or {},
            max_jobs=max_jobs,
            concurrency=concurrency,
        )
        self.daemon = Daemon(
            top,
            url,
            app,
            lease=lease,
            drain=drain,
            queues={"q": queue},
            schedules=schedules,
            env=_skewed(top, skew),
        )

    def up(self) -> Host:
        """Wait until every worker has joined."""
        eventually(f"{self.name} is up", lambda: len(self.joined()) == self.workers)
        return self

    def joined(self) -> list[int]:
        """The pids of the workers that are past their boot."""
        return [view.pid for view in self._pages() if view.phase > Phase.BOOTING]

    def useful(self) -> list[int]:
        """The pids of the workers that have settled something."""
        return [view.pid for view in self._pages() if view.settled]

    def _pages(self) -> list[PageView]:
        """The pages of the living: one of a dead worker stands until its release."""
        state = self.daemon.state()
        if state is None:
            return []
        alive = set(self.worker_pids())
        try:
            board = Scoreboard.open(self.daemon.runtime / state.scoreboard)
        except FileNotFoundError:
            return []
        return [view for view in board.views() if view.pid in alive]

    def worker_pids(self) -> list[int]:
        """The pids of the workers, as the supervisor tells them."""
        return [slot.pid for slot in self.daemon.slots() if slot.pid]

    def has(self, role: str) -> bool:
        """Whether there is a process of this role, past its start."""
        try:
            return bool(self.helper(role))
        except AssertionError:
            return False

    def helper(self, role: str) -> int:
        """The pid of the keeper or the preloader."""
        for process in psutil.Process(self.daemon.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                words = process.cmdline()
                if f"jobd: {role}" in " ".join(words):
                    return int(process.pid)
        raise AssertionError(f"{self.name} has no {role}")

    def pids(self) -> list[int]:
        """Every process of this host, the supervisor first."""
        top = psutil.Process(self.daemon.process.pid)
        return [top.pid, *(child.pid for child in top.children(recursive=True))]

    def kill(self) -> list[int]:
        """SIGKILL everything at once; give the pids."""
        pids = self.pids()
        _signal(pids, signal.SIGKILL)
        self.daemon.process.wait()
        eventually(f"{self.name} is gone", lambda: all(gone(pid) for pid in pids))
        return pids

    def freeze(self) -> list[int]:
        """SIGSTOP everything; give the pids."""
        pids = self.pids()
        _signal(pids, signal.SIGSTOP)
        return pids

    def thaw(self, pids: Iterable[int]) -> None:
        """SIGCONT."""
        _signal(pids, signal.SIGCONT)

    def said(self, event: str) -> list[dict[str, Any]]:
        """The events of one name in its log."""
        return self.daemon.said(event)

    def end(self) -> None:
        """Leave nothing behind, frozen or not."""
        self.daemon.end()


def _skewed(top: Path, by: float) -> dict[str, str]:
    """Make every Python of a host believe in another wall clock, from its start on."""
    if not by:
        return {}
    (top / "sitecustomize.py").write_text(_SKEW.format(by=by))
    return {"PYTHONPATH": str(top)}


def _signal(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
