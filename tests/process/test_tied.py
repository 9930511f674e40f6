"""A worker's life is tied to its supervisor's by the kernel, whatever has run in it."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil
import pytest
from support.daemons import Daemon, eventually, gone, kill

from jobd import Jobd
from jobd.core.config import QueueConfig

pytestmark = pytest.mark.process

APP = """
import ctypes, time
from jobd import Jobd

app = Jobd()
q = app.queue("q")

@q.task()
def tells() -> int:
    time.sleep(0.15)  # so that there is a close look after it
    found = ctypes.c_int()
    ctypes.CDLL(None).prctl(2, ctypes.byref(found), 0, 0, 0)
    return found.value

@q.task()
def unties() -> None:
    time.sleep(0.15)
    ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
"""


def test_it_stays_so_after_jobs_and_what_unties_it_is_put_back(
    tmp_path: Path, redis_url: str
) -> None:
    """Without the sweeper, which would end it as well."""
    daemon = Daemon(tmp_path, redis_url, APP, queues={"q": QueueConfig(processes=1)})
    try:
        queue = Jobd(redis_url).queue("q")
        tasks = ["tells", "tells", "unties", "tells", "tells"]
        said = [queue.add(task).result("60s") for task in tasks]
        assert said == [9, 9, None, 9, 9]
        changed = [line["what"] for line in daemon.said("process.changed")]
        assert changed == [["parent death signal"]]
        [worker] = [slot.pid for slot in daemon.running(1)]
        # Stopped first: it would replace the sweeper.
        daemon.signal(signal.SIGSTOP)
        supervisor = psutil.Process(daemon.process.pid)
        eventually("it stands still", lambda: supervisor.status() == psutil.STATUS_STOPPED)
        for child in supervisor.children():
            if "sweeper" in " ".join(child.cmdline()):
                kill(child.pid)
        daemon.process.kill()
        assert worker is not None
        eventually("the worker is gone", lambda: gone(worker))
    finally:
        daemon.end()
