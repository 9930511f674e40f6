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
from dataclasses import asdict, dataclass
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
    line = Line(what, time.monotonic(), job.id, job.queue, job.task, os.getpid())
    os.write(_log(settings().effects), json.dumps(asdict(line)).encode() + b"\n")


@cache
def _log(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
