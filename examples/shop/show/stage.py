"""The processes of the demo: each started here, each stopped here, whatever happens.

Invariant: leaving `Stage` ends every process it started, the daemon before its mail server and its
Redis; and if this process is killed, they are killed with it.
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
from typing import IO, Any, Self

import psutil
import tomli_w

from examples.shop import settings as names
from jobd.broker.private import private_server

ROOT = Path(__file__).parents[3]
PROCESSES = {"mail": 2, "images": 1, "reports": 1}
KEEP = 1_000_000
STOP_WITHIN = 12.0
ASK_WITHIN = 20.0


class StageError(Exception):
    """A process of the demo did not start, or did not end as it should."""


class Stage:
    """Redis, mail server, daemon and producer."""

    def __init__(self, folder: Path, redis_url: str | None) -> None:
        self.folder = folder
        self._given_url = redis_url
        self._ending = contextlib.ExitStack()
        self._environment = dict(os.environ)
        self._daemon: subprocess.Popen[bytes] | None = None
        self._producer: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    @property
    def daemon_pid(self) -> int:
        """The supervisor's pid: `jobd run` becomes it."""
        assert self._daemon is not None
        return self._daemon.pid

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
        self._environment[names.SMTP] = f"127.0.0.1:{self._start_mail_server()}"
        os.environ.update({name: self._environment[name] for name in (names.FOLDER, names.SMTP)})
        self._write_config(short / "run")
        self._daemon = self._start(
            "daemon", "jobd", "run", "-c", str(self._config), end_by=signal.SIGQUIT
        )

    def start_producer(self, orders: int, *, closes_at: float, until: float) -> None:
        """Start the shop's front: from now on jobs come in."""
        self._producer = self._start(
            "producer", "examples.shop.producer", str(orders), str(closes_at), str(until)
        )

    def producer_is_done(self) -> bool:
        """Say whether all jobs have ended, or their time is up. Raises StageError when the daemon or
        the producer ended that should not have, with its last words."""
        for name, process in (("daemon", self._daemon), ("producer", self._producer)):
            if process is None or process.poll() in (None, 0 if name == "producer" else None):
                continue
            words = (self.folder / f"{name}.log").read_text(errors="replace").strip()
            last = "\n".join(words.splitlines()[-8:])
            raise StageError(f"{name}: ended with status {process.returncode}:\n{last}")
        assert self._producer is not None
        return self._producer.returncode == 0

    def stop_daemon(self) -> int:
        """Drain the daemon with SIGTERM; give its exit status. Raises StageError when it, or a
        process of it, stays."""
        assert self._daemon is not None
        family = psutil.Process(self._daemon.pid).children(recursive=True)
        self._daemon.send_signal(signal.SIGTERM)
        try:
            status = self._daemon.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired as late:
            raise StageError(f"daemon: still there {STOP_WITHIN:g} s after SIGTERM") from late
        _, left = psutil.wait_procs(family, timeout=2)
        if left:
            raise StageError(f"daemon: ended, but left processes {[one.pid for one in left]}")
        return status

    def count(self) -> dict[str, dict[str, int]]:
        """Ask `jobd queues list` for the jobs of each queue by state. Raises StageError."""
        try:
            run = subprocess.run(
                [sys.executable, "-m", "jobd", "queues", "list", "--json", "-c", self._config],
                capture_output=True,
                cwd=ROOT,
                env=self._environment,
                timeout=ASK_WITHIN,
                check=True,
            )
        except subprocess.TimeoutExpired as late:
            raise StageError(f"jobd queues list: no answer in {ASK_WITHIN:g} s") from late
        except subprocess.CalledProcessError as failed:
            raise StageError(f"jobd queues list: {failed.stderr.decode().strip()}") from failed
        rows: list[dict[str, Any]] = json.loads(run.stdout)
        return {str(row["queue"]): row["jobs"] for row in rows}

    @property
    def _config(self) -> Path:
        return self.folder / "jobd.toml"

    def _write_config(self, runtime_dir: Path) -> None:
        retain = {"completed": {"age": "1h", "count": KEEP}, "dead": {"age": "1h"}}
        config = {
            "app": "examples.shop.tasks:app",
            "redis": {"url": self._environment["JOBD_REDIS_URL"]},
            "daemon": {"runtime_dir": str(runtime_dir), "drain_timeout": "5s"},
            "queues": {
                name: {"processes": count, "retain": retain} for name, count in PROCESSES.items()
            },
        }
        self._config.write_text(tomli_w.dumps(config))

    def _start_mail_server(self) -> int:
        server = self._start(
            "mail-server",
            "examples.shop.show.sink",
            str(self.folder / "mail"),
            stdout=subprocess.PIPE,
        )
        assert server.stdout is not None
        port = server.stdout.readline()
        if not port:
            raise StageError(f"mail server: did not start, see {self.folder / 'mail-server.log'}")
        return int(port)

    def _start(
        self,
        name: str,
        module: str,
        *arguments: str,
        stdout: int | None = None,
        end_by: signal.Signals = signal.SIGTERM,
    ) -> subprocess.Popen[bytes]:
        log: IO[bytes] = self._ending.enter_context((self.folder / f"{name}.log").open("wb"))
        tied = [sys.executable, "-m", "jobd.seams.tied", str(os.getpid())]  # dies with us
        process = subprocess.Popen(
            [*tied, sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=log if stdout is None else stdout,
            stderr=log,
            start_new_session=True,  # ^C in the terminal is for the conductor, which ends the rest
        )
        self._ending.callback(_end, process, end_by)
        return process


def _end(process: subprocess.Popen[bytes], signum: signal.Signals) -> None:
    if process.stdout is not None:
        process.stdout.close()
    process.send_signal(signum)
    try:
        process.wait(STOP_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
