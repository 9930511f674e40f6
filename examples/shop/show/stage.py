"""The processes of the demo: each started here, each stopped here, whatever happens.

Invariant: leaving `Stage` ends every process it started, the daemon first, so that workers end
while their mail server and their Redis still live.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import psutil
import tomli_w

from examples.shop import settings as names
from jobd.wiring.server import private_server

ROOT = Path(__file__).parents[3]
PROCESSES = {"mail": 2, "images": 1, "reports": 1}
KEEP = 1_000_000
STOP_WITHIN = 30.0


class StageError(Exception):
    """A process of the demo did not start, or did not end as it should."""


class Stage:
    """Redis, mail server, daemon and producer."""

    def __init__(self, folder: Path, *, orders: int, redis_url: str | None) -> None:
        self.folder = folder
        self._orders = orders
        self._given_url = redis_url
        self._ending = contextlib.ExitStack()
        self._environment = dict(os.environ)
        self.daemon: subprocess.Popen[bytes] | None = None
        self.producer: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending.close()

    def open(self) -> None:
        """Start what the shop needs before a job is added. Raises StageError."""
        # A socket's path must be short, and the user's folder may not be.
        short = Path(self._ending.enter_context(tempfile.TemporaryDirectory(prefix="jobd-demo-")))
        url = self._given_url or self._ending.enter_context(private_server(short))
        self._environment |= {
            "JOBD_REDIS_URL": url,
            names.FOLDER: str(self.folder),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.getenv("PYTHONPATH")])),
        }
        self._environment[names.SMTP] = f"127.0.0.1:{self._start_sink()}"
        os.environ.update({k: self._environment[k] for k in (names.FOLDER, names.SMTP)})
        self._write_config(short / "run")
        self.daemon = self._start("daemon", "-m", "jobd", "run", "-c", str(self._config))

    def start_producer(self) -> None:
        """Start the shop's front: from now on jobs come in."""
        self.producer = self._start(
            "producer", "-m", "examples.shop.producer", str(self._orders), stdin=subprocess.PIPE
        )

    def ask_for_endings(self) -> None:
        """Tell the producer to write down how its jobs ended. Raises StageError."""
        assert self.producer is not None
        try:
            self.producer.communicate(b"\n", timeout=60)
        except subprocess.TimeoutExpired as late:
            raise StageError("producer: no answer on how its jobs ended") from late

    def stop_daemon(self) -> int:
        """Drain the daemon with SIGTERM; give its exit status. Raises StageError when it, or a
        process of it, stays."""
        assert self.daemon is not None
        family = psutil.Process(self.daemon.pid).children(recursive=True)
        self.daemon.send_signal(signal.SIGTERM)
        try:
            status = self.daemon.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired as late:
            raise StageError(f"daemon: still there {STOP_WITHIN:g}s after SIGTERM") from late
        _, left = psutil.wait_procs(family, timeout=2)
        if left:
            raise StageError(f"daemon: ended, but left processes {[one.pid for one in left]}")
        return status

    def ask(self, *command: str) -> Any:
        """Ask jobd's own command line, with `--json`. Raises StageError."""
        run = subprocess.run(
            [sys.executable, "-m", "jobd", *command, "--json", "-c", str(self._config)],
            capture_output=True,
            cwd=ROOT,
            env=self._environment,
            timeout=60,
            check=False,
        )
        if run.returncode != 0:
            raise StageError(f"jobd {' '.join(command)}: {run.stderr.decode().strip()}")
        return json.loads(run.stdout)

    def troubled(self) -> str | None:
        """Say which process ended that should not have, and its last words."""
        for name, process in (("daemon", self.daemon), ("producer", self.producer)):
            if process is not None and process.poll() is not None:
                words = (self.folder / f"{name}.log").read_text(errors="replace").strip()
                last = "\n".join(words.splitlines()[-8:])
                return f"{name}: ended with status {process.returncode}:\n{last}"
        return None

    @property
    def _config(self) -> Path:
        return self.folder / "jobd.toml"

    def _write_config(self, runtime_dir: Path) -> None:
        retain = {"completed": {"age": "1h", "count": KEEP}, "dead": {"age": "1h"}}
        with self._config.open("wb") as file:
            tomli_w.dump(
                {
                    "app": "examples.shop.tasks:app",
                    "redis": {"url": self._environment["JOBD_REDIS_URL"]},
                    "daemon": {"runtime_dir": str(runtime_dir), "drain_timeout": "10s"},
                    "queues": {
                        name: {"processes": count, "retain": retain}
                        for name, count in PROCESSES.items()
                    },
                },
                file,
            )

    def _start_sink(self) -> int:
        sink = self._start(
            "mail-server",
            "-m",
            "examples.shop.show.sink",
            str(self.folder / "mail"),
            stdout=subprocess.PIPE,
        )
        assert sink.stdout is not None
        port = sink.stdout.readline()
        if not port:
            raise StageError(f"mail server: did not start, see {self.folder / 'mail-server.log'}")
        return int(port)

    def _start(
        self, name: str, *arguments: str, stdin: int | None = None, stdout: int | None = None
    ) -> subprocess.Popen[bytes]:
        log: IO[bytes] = self._ending.enter_context((self.folder / f"{name}.log").open("wb"))
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=log if stdout is None else stdout,
            stderr=log,
            start_new_session=True,  # ^C in the terminal is for the conductor, which ends the rest
        )
        self._ending.callback(_end, process)
        return process


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
