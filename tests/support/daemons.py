"""A real daemon in a temporary directory, and waiting for conditions instead of sleeping."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import psutil

from jobd.core.config import Config, DaemonConfig, LogConfig, QueueConfig, RedisConfig
from jobd.core.config_alerts import AlertsConfig
from jobd.core.schedule import Declared
from jobd.seams import statefile
from jobd.seams.statefile import SlotState, State
from support.records import said
from support.servers import PATIENCE

T = TypeVar("T")


def eventually(what: str, look: Callable[[], T | None], within: float = PATIENCE) -> T:
    """Give the first true answer; fail, naming what was waited for, when none comes."""
    until = time.monotonic() + within
    while not (found := look()):
        if time.monotonic() > until:
            raise AssertionError(f"not within {within} s: {what}")
        select.select([], [], [], 0.01)
    return found


class Daemon:
    """`python -m jobd.wiring.supervisor` over an app written into its directory."""

    def __init__(
        self, top: Path, redis_url: str, app: str, *, lease: float = 30.0, drain: float = 10.0,
        queues: dict[str, QueueConfig] | None = None, schedules: list[Declared] | None = None,
        alerts: AlertsConfig | None = None, served: list[str] | None = None, env: dict[str, str] | None = None, **more: Any,
    ) -> None:  # fmt: skip
        """`more` is what the section [daemon] has beside."""
        self.top = top
        self.env = env
        self.runtime = top / "run"
        self.runtime.mkdir(exist_ok=True)
        (top / "shopjobs.py").write_text(app)
        config = Config(
            app="shopjobs:app",
            redis=RedisConfig(url=redis_url),
            daemon=DaemonConfig(
                lease=lease, drain_timeout=drain, runtime_dir=str(self.runtime),
                log=LogConfig(format="json", level="debug"), queues=served, **more,
            ),
            queues=queues or {},
            schedules=schedules or [],
            alerts=alerts or AlertsConfig(),
        )  # fmt: skip
        self.effective = self.runtime / "effective.json"
        self.effective.write_bytes(msgspec.json.encode(config))
        self.log = top / "log"
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jobd.wiring.supervisor", str(self.effective)],
                cwd=self.top, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=os.environ | (self.env or {}),
            )  # fmt: skip
        return self.process

    def text(self) -> str:
        return self.log.read_text()

    def said(self, event: str) -> list[dict[str, Any]]:
        """What it has told under one name so far."""
        return said(self.log, event)

    def state(self) -> State | None:
        state = statefile.read(self.runtime)
        return state if state and state.pid == self.process.pid else None

    def nonce(self) -> str:
        state = self.state()
        assert state is not None
        return state.nonce

    def slots(self) -> list[SlotState]:
        state = self.state()
        return [slot for queue in state.queues.values() for slot in queue] if state else []

    def running(self, count: int) -> list[SlotState]:
        def look() -> list[SlotState] | None:
            slots = [s for s in self.slots() if s.phase == "running"]
            return slots if len(slots) == count else None

        try:
            return eventually(f"{count} running workers", look)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.text()}") from None

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, within: float = PATIENCE) -> int:
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still runs after {within} s\n{self.text()}") from None

    def end(self) -> None:
        """Leave nothing behind, whatever the test has done."""
        end_all(self.process)


def end_all(process: subprocess.Popen[bytes]) -> None:
    """Kill a daemon, if it runs, and wait for all below it, which die with it, each a moment later.

    In that moment they could still write to the server that the next test has just flushed.
    """
    below = []
    if process.poll() is None:
        with contextlib.suppress(psutil.Error):
            below = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
        process.kill()
        process.wait()
    # What is left then is not this one's: it may belong to a test that has failed already.
    until = time.monotonic() + 10
    while not all(map(gone, below)) and time.monotonic() < until:
        select.select([], [], [], 0.005)


def gone(pid: int) -> bool:
    """Tell whether a process has ended; a zombie has."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    os.kill(pid, number)
