"""What tasks really did: a file outside Redis, one O_APPEND write a line, and its reader.

A line is written whole or not at all, also when its process is killed in the same instant; so the
file is the truth that Redis' story is compared with.
"""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

# Goes in front of an application's source. CLOCK_MONOTONIC is the same for all processes here.
PRELUDE = """
import contextlib, ctypes, json, os, time
from jobd import Fixed, Job, Jobd, JobdError

HOST = {host!r}
_effects = os.open({path!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
_here = os.path.dirname({path!r})

def effect(kind, uid, job):
    line = json.dumps([kind, uid, job.token, os.getpid(), HOST, time.monotonic()])
    os.write(_effects, line.encode() + b"\\n")

def first_time(name):
    try:
        os.close(os.open(os.path.join(_here, "mark-" + name), os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        return False
"""


class Effect(NamedTuple):
    """One line: `kind` is start or end."""

    kind: str
    uid: str
    token: int
    pid: int
    host: str
    at: float


class Effects:
    """Reads the file as it grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.touch()
        self._read = 0
        self._lines: list[Effect] = []

    def prelude(self, host: str) -> str:
        """The source that lets an application write here, as `host`."""
        return PRELUDE.format(host=host, path=str(self.path))

    def all(self) -> list[Effect]:
        """Everything so far."""
        with self.path.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        self._lines += [Effect(*json.loads(line)) for line in whole.splitlines()]
        return self._lines

    def of(self, uid: str, kind: str = "start") -> list[Effect]:
        """The lines of one kind about one uid, in the order of time."""
        return [line for line in self.all() if line.uid == uid and line.kind == kind]

    def by_uid(self, kind: str) -> dict[str, list[Effect]]:
        """All lines of one kind, by uid."""
        found: dict[str, list[Effect]] = defaultdict(list)
        for line in self.all():
            if line.kind == kind:
                found[line.uid].append(line)
        return found


def wall_minus_monotonic() -> float:
    """What to add to a monotonic time to get the wall clock's, at this instant."""
    return time.time() - time.monotonic()


def gate(path: Path) -> None:
    """Make a file that tasks wait for."""
    os.close(os.open(path, os.O_CREAT))
