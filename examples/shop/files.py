"""Whole files or none: a process may be killed at any instruction, also while it writes."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PARTIAL = ".partial"


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a temporary name to write to; on leaving, it becomes `path` in one step.

    The name contains the process id: two runs of the same job, one of them believed dead, must not
    write into the same file. Whichever renames last wins, and both wrote the same.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def once(path: Path) -> bool:
    """Say True to exactly one caller, ever, on this machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
    except FileExistsError:
        return False
    return True


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Read a file of JSON lines; none if there is no such file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class Tail:
    """Reads a file of JSON lines while others write it. Use it as a context."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self._file = path.open("rb")
        self._rest = b""

    def __enter__(self) -> Tail:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def new(self) -> list[dict[str, Any]]:
        """Give the lines that were finished since the last call."""
        *finished, self._rest = (self._rest + self._file.read()).split(b"\n")
        return [json.loads(line) for line in finished]
