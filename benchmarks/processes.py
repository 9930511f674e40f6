"""The processes of one run: started together, accounted together, ended together.

Invariant: only processes started here, and their descendants, are ever signalled.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from benchmarks.errors import RunFailed

STOP_SECONDS = 5.0
LAST_LINES = 3


@dataclass(frozen=True, slots=True)
class Command:
    """An argument vector and what it adds to the environment."""

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProcessMemory:
    """Proportional set size (bytes) of one process, with what `ps` shows of it."""

    title: str
    pss: int


class Group:
    """Worker processes of one system in one run; use as a context manager."""

    def __init__(self, commands: Sequence[Command], log: Path, directory: Path) -> None:
        self._commands = commands
        self._log = log
        self._directory = directory
        self._roots: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            for command in self._commands:
                self._roots.append(
                    subprocess.Popen(
                        list(command.argv),
                        env={**os.environ, **command.env},
                        cwd=self._directory,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        members = self.members()
        for root in self._roots:
            root.terminate()
        _, stubborn = psutil.wait_procs(members, timeout=STOP_SECONDS)
        for process in stubborn:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        for root in self._roots:
            root.wait()

    def members(self) -> list[psutil.Process]:
        """Every process of the group that is there now."""
        found: list[psutil.Process] = []
        for root in self._roots:
            with suppress(psutil.NoSuchProcess):
                top = psutil.Process(root.pid)
                found += [top, *top.children(recursive=True)]
        return found

    def stay_on(self, core: int) -> None:
        """Keep what was started, and all it will start, on one core, and before others there."""
        for root in self._roots:
            os.sched_setaffinity(root.pid, {core})
            with suppress(PermissionError):
                os.setpriority(os.PRIO_PROCESS, root.pid, -10)

    def go_first(self) -> bool:
        """Ask the kernel never to make these, and all they will start, wait for other processes."""
        try:
            for root in self._roots:
                os.sched_setscheduler(root.pid, os.SCHED_FIFO, os.sched_param(1))
        except PermissionError:
            return False
        return True

    def signal(self, number: int) -> None:
        """Send a signal to every process of the group that is there now."""
        for process in self.members():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def check_alive(self) -> None:
        """Raise RunFailed, with the end of the log, when a process of the first row has ended."""
        for root in self._roots:
            if root.poll() is not None:
                raise RunFailed(f"a worker ended with status {root.returncode}: {self.log_tail()}")

    def cpu_seconds(self) -> float:
        """User and system time of all members, with children they have waited for."""
        return sum(self.cpu_by_process().values())

    def cpu_by_process(self) -> dict[int, float]:
        """The same, member by member: pid, seconds."""
        seen: dict[int, float] = {}
        for process in self.members():
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                seen[process.pid] = (
                    times.user + times.system + times.children_user + times.children_system
                )
        return seen

    def memory(self) -> list[ProcessMemory]:
        """Memory of each member, largest first."""
        seen: list[ProcessMemory] = []
        for process in self.members():
            with suppress(psutil.NoSuchProcess):
                title = " ".join(process.cmdline()).strip() or process.name()
                seen.append(ProcessMemory(title, int(process.memory_full_info().pss)))
        return sorted(seen, key=lambda one: -one.pss)

    def log_tail(self) -> str:
        """The end of what the group printed, on one line, and where the rest is."""
        text = self._log.read_text(encoding="utf-8", errors="replace")
        return f"{_tail(text)} (all of it: {self._log})"


def run_to_end(command: Command, directory: Path, timeout: float) -> str:
    """Run a producer and return what it printed.

    Raises:
        RunFailed: it failed, or took longer than ``timeout`` seconds.
    """
    try:
        done = subprocess.run(
            list(command.argv),
            env={**os.environ, **command.env},
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RunFailed(f"{command.argv[-2:]}: not done within {timeout:.0f} s") from None
    if done.returncode:
        said = _tail(done.stderr or done.stdout)
        raise RunFailed(f"the producer ended with status {done.returncode}: {said}")
    return done.stdout


def _tail(text: str) -> str:
    """The last lines on one line."""
    return " | ".join(line.strip() for line in text.splitlines()[-LAST_LINES:]) or "nothing printed"
