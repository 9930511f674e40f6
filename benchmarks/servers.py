"""A private redis-server, and what it says about its own work. Used by every measure.

Invariant: nothing but this run talks to it; between two samples it is emptied.
"""

import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, cast

import psutil
import redis

Durability = Literal["none", "everysec", "always"]

START_SECONDS = 10.0

Client = Any  # redis-py types every reply as "or awaitable"; here every call is a plain one


@dataclass(frozen=True, slots=True)
class Counters:
    """Totals since the server started; subtract two of them."""

    cpu_seconds: float
    commands: int
    socket_reads: int
    used_memory: int

    def since(self, before: "Counters") -> "Counters":
        return Counters(
            self.cpu_seconds - before.cpu_seconds,
            self.commands - before.commands,
            self.socket_reads - before.socket_reads,
            self.used_memory - before.used_memory,
        )


class RedisServer:
    """redis-server on a free loopback TCP port, as the peers' own defaults connect."""

    def __init__(self, directory: Path, durability: Durability = "none") -> None:
        self.directory = directory
        self.durability = durability
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.client: Client = redis.Redis(host="127.0.0.1", port=self.port)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server is used inside its with block"
        return self._process.pid

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        append = ["no"] if self.durability == "none" else ["yes", "--appendfsync", self.durability]
        with (self.directory / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *("redis-server", "--port", str(self.port), "--bind", "127.0.0.1"),
                    *("--dir", str(self.directory), "--save", "", "--appendonly", *append),
                    # A rewrite in the middle of a run would be charged to whoever is running.
                    *("--auto-aof-rewrite-percentage", "0"),
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait_until_it_answers()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.client.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                self.client.ping()
                return
            except redis.ConnectionError:
                time.sleep(0.02)
        raise RuntimeError(f"redis-server did not answer; see {self.directory / 'redis.log'}")

    def wipe(self) -> None:
        """Empty the store, and wait for the memory to come back."""
        self.client.execute_command("FLUSHALL", "SYNC")

    def ask(self, *words: str | int) -> int:
        """Run a command whose answer is an integer."""
        return int(self.client.execute_command(*words))

    def info(self, section: str) -> dict[str, Any]:
        return cast("dict[str, Any]", self.client.info(section))

    def counters(self) -> Counters:
        """Its own account so far. Commands include those that scripts run, not this look itself."""
        cpu = self.info("cpu")
        stats = self.info("stats")
        commands = sum(
            int(entry["calls"])
            for name, entry in self.info("commandstats").items()
            if name != "cmdstat_info"
        )
        return Counters(
            cpu_seconds=float(cpu["used_cpu_sys"]) + float(cpu["used_cpu_user"]),
            commands=commands,
            socket_reads=int(stats["total_reads_processed"]),
            used_memory=int(self.info("memory")["used_memory"]),
        )

    def go_first(self) -> bool:
        """Ask the kernel never to make this server wait for other processes; False when it may not.

        Where what is timed is how long a command takes and not how long the machine was busy.
        """
        try:
            os.sched_setscheduler(self.pid, os.SCHED_FIFO, os.sched_param(1))
        except PermissionError:
            return False
        return True

    def stay_on(self, core: int) -> None:
        """Keep the server on one core."""
        os.sched_setaffinity(self.pid, {core})

    def process_cpu_seconds(self) -> float:
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)


def free_port() -> int:
    """Find a port of this host that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
