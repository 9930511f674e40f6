"""Many workers that end at once: what the end of one costs does not grow with the number of the others."""

from __future__ import annotations

import pstats
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from support.daemons import Daemon

from jobd.core.config import QueueConfig
from jobd.core.processes import exactly
from jobd.supervisor.fleet import Policy

pytestmark = pytest.mark.process

MANY = 24
APP = """
from jobd import Jobd
app = Jobd()
q = app.queue("q")
"""


class Counted(Daemon):
    """A daemon whose supervisor counts what it calls."""

    def start(self) -> subprocess.Popen[bytes]:
        self.counts = self.top / "counts"
        counting = ["-m", "cProfile", "-o", str(self.counts)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *counting, "-m", "jobd.wiring.supervisor", str(self.effective)],
                cwd=self.top, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        return self.process

    def calls(self, file: str, function: str) -> int:
        table = pstats.Stats(str(self.counts)).stats  # type: ignore[attr-defined]
        return sum(
            row[1]
            for (f, _, name), row in table.items()
            if (Path(f).name, name) == (file, function)
        )

    def at(self, event: str) -> datetime:
        return datetime.fromisoformat(self.said(event)[0]["ts"])


def test_a_stop_looks_no_more_often_for_many_ends(tmp_path: Path, redis_url: str) -> None:
    """All pages are read now and then, not for each end; and no other's command line is."""
    daemon = Counted(tmp_path, redis_url, APP, queues={"q": QueueConfig(processes=exactly(MANY))})
    try:
        daemon.running(MANY)
        daemon.signal(signal.SIGTERM)
        assert daemon.wait(60) == 0
    finally:
        daemon.end()
    lasted = (daemon.at("daemon.stopped") - daemon.at("daemon.started")).total_seconds()
    every = Policy(lease=1, drain_timeout=1).look_every
    assert daemon.calls("outlook.py", "look") <= lasted / every + 8
    assert daemon.calls("host.py", "is_tracker") < MANY
