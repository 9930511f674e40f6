"""A host, as far as jobd can tell: one daemon, its runtime directory, and all of its processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil
from support.daemons import Daemon, eventually, gone

from jobd.core.config import QueueConfig
from jobd.seams.scoreboard import Scoreboard


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
    ) -> None:
        top = directory / name
        top.mkdir()
        self.name = name
        self.lease = lease
        self.workers = workers
        queue = QueueConfig(processes=workers, options=options or {})
        self.daemon = Daemon(top, url, app, lease=lease, drain=drain, queues={"q": queue})

    def up(self) -> Host:
        """Wait until every worker has joined."""
        eventually(f"{self.name} is up", lambda: len(self.joined()) == self.workers, within=30)
        return self

    def joined(self) -> list[int]:
        """The pids of the workers that are past their boot."""
        board = self._board()
        return [] if board is None else [v.pid for v in board.views() if v.pid and v.phase > 1]

    def _board(self) -> Any:
        state = self.daemon.state()
        if state is None:
            return None
        try:
            return Scoreboard.open(self.daemon.runtime / state.scoreboard)
        except FileNotFoundError:
            return None

    def worker_pids(self) -> list[int]:
        """The pids of the workers, as the supervisor tells them."""
        return [slot.pid for slot in self.daemon.slots() if slot.pid]

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
        lines = self.daemon.text().splitlines()
        told = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in told if line["event"] == event]

    def end(self) -> None:
        """Leave nothing behind, frozen or not."""
        self.daemon.end()


def _signal(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
