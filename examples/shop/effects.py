"""What the tasks really did, told outside of Redis: one line for each start and each end of a run.

The demo counts by this file, not by what jobd says of itself. Invariant: a line is one write to a
file opened for appending, so lines of many processes never mix, and a killed process leaves whole
lines only. Times are CLOCK_MONOTONIC, which all processes of a machine share.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from examples.shop.settings import settings
from jobd import Job

What = Literal["start", "end", "fail"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line: `what` happened at `at` (seconds, monotonic) to a run of a job in process `pid`."""

    what: What
    at: float
    job: str
    queue: str
    task: str
    attempt: int
    pid: int


@contextlib.contextmanager
def run(job: Job) -> Iterator[None]:
    """Note the start of a run, and its end if it lives to see it."""
    _note("start", job)
    try:
        yield
    except Exception:
        _note("fail", job)
        raise
    _note("end", job)


def _note(what: What, job: Job) -> None:
    line = {
        "what": what,
        "at": time.monotonic(),
        "job": job.id,
        "queue": job.queue,
        "task": job.task,
        "attempt": job.attempt,
        "pid": os.getpid(),
    }
    os.write(_log(settings().effects), json.dumps(line).encode() + b"\n")


@cache
def _log(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)


class Reader:
    """Reads the file as it grows."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self._file = path.open("rb")
        self._rest = b""

    def new(self) -> list[Line]:
        """Give the lines written since the last call."""
        *whole, self._rest = (self._rest + self._file.read()).split(b"\n")
        return [Line(**json.loads(line)) for line in whole]

    def close(self) -> None:
        """Close the file."""
        self._file.close()
