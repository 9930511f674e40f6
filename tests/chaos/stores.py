"""A Redis of one's own that can be killed, frozen and started again over the same files."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import redis
from support.daemons import eventually

DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


class Store:
    """One server on a unix socket in a directory."""

    def __init__(self, program: str, directory: Path, *settings: str) -> None:
        self._program = program
        self._directory = directory
        self._settings = settings
        self.socket = directory / "store.sock"
        self.url = f"unix://{self.socket}"
        self._process: subprocess.Popen[bytes] | None = None
        self.client: Any = redis.Redis.from_url(self.url, socket_timeout=5, protocol=2)
        self.start()

    def start(self) -> float:
        """Start it; give the instant of its first answer."""
        self._process = subprocess.Popen(
            [
                self._program, "--port", "0", "--unixsocket", str(self.socket),
                "--dir", str(self._directory), "--save", "", *self._settings,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        eventually("an answer of the server", self._answers)
        return time.monotonic()

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.exceptions.RedisError:
            return False

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Stop it between two instructions: connections stay, nothing is answered."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def end(self) -> None:
        """Leave nothing behind."""
        self.client.close()
        if self._process is not None and self._process.poll() is None:
            self.thaw()
            self._process.kill()
            self._process.wait()
