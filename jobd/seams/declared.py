"""declared.<app>.json: the schedules an application declares, from who has loaded it to the keeper.

The keeper has no user code, and who has it has no connection to Redis to spare. So the preloader -
or, where nothing is preloaded, each worker - leaves what the code says beside the scoreboard, and
the keeper looks there again and again.

Invariant: a reader sees the old file or the new one, and heeds only what was written under its own
supervisor: a file that an earlier daemon has left says nothing.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import msgspec

from jobd.core.schedule import Declared
from jobd.core.unreadable import UNREADABLE_JSON
from jobd.seams import host

_PREFIX = "declared."


class Declarations(msgspec.Struct, frozen=True, kw_only=True):
    """One such file. `loaded_at` is on the monotonic clock, which all processes of a host share."""

    owner: str
    loaded_at: float
    schedules: list[Declared]


def owner() -> str:
    """Name the supervisor, which is the parent of all who write or read."""
    parent = os.getppid()
    return f"{parent}.{host.start_ticks(parent)}"


def write(runtime_dir: Path, app: str, declarations: Declarations) -> None:
    """Replace an application's file. Raises OSError."""
    target = runtime_dir / f"{_PREFIX}{quote(app, safe='')}.json"
    fresh = runtime_dir / f"{target.name}.{os.getpid()}.new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - the mode is set at creation
        file.write(msgspec.json.encode(declarations))
    fresh.replace(target)


def stamp(runtime_dir: Path) -> tuple[tuple[str, int], ...]:
    """Give what changes when any of the files does."""
    found = []
    for path in sorted(runtime_dir.glob(f"{_PREFIX}*.json")):
        try:
            found.append((path.name, path.stat().st_mtime_ns))
        except OSError:
            continue  # replaced or removed at this moment: the next look sees it
    return tuple(found)


def read(runtime_dir: Path, whose: str) -> list[Declarations]:
    """Read what was declared under this supervisor. What cannot be read says nothing."""
    found = []
    for path in sorted(runtime_dir.glob(f"{_PREFIX}*.json")):
        try:
            read = msgspec.json.decode(path.read_bytes(), type=Declarations)
        except (OSError, *UNREADABLE_JSON):
            continue
        if read.owner == whose:
            found.append(read)
    return found
