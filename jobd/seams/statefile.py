"""state.json: the slow, readable part of what a daemon knows about itself.

Invariant: a reader sees the old file or the new one, never half of one (written beside it, then
renamed). Written by the supervisor on change, read by the command line.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from jobd.core.portrait import Growth
from jobd.core.unreadable import UNREADABLE_JSON

NAME = "state.json"


class SlotState(msgspec.Struct, frozen=True, kw_only=True):
    """One slot, or a worker that has left it. `phase` is vacant, forking, running or draining.

    `exits` counts how its workers ended, by cause; `leaving` is why a leaver was replaced.
    `memory` is what the process has of its own, `resident` what it has with what it shares, in bytes.
    """

    slot: str
    phase: str
    incarnation: str | None = None
    pid: int | None = None
    restarts: int = 0
    last_exit: str | None = None
    exits: dict[str, int] = {}
    leaving: str | None = None
    memory: int | None = None
    resident: int | None = None


class PoolState(msgspec.Struct, frozen=True, kw_only=True):
    """A queue's workers as a whole: how many there are to be, and whether starting them is given up.

    Between `min` and `max` the load decides, unless a number was `asked` for by hand; `why` is the reason
    for the target. `useless` counts workers in a row that ended without having run a job; `growth` names
    the tasks that made workers grow, those that have ended too, the worst first; `exits` counts how all
    of its workers ended, under the daemons before this one too.
    """

    target: int
    min: int = 1
    max: int = 1
    asked: int | None = None
    why: str = ""
    gave_up: bool = False
    useless: int = 0
    growth: list[Growth] = []
    exits: dict[str, int] = {}


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file. `jobd` is the version; `reload_at` is when the last reload was begun; `where`
    is the working directory, by the name the daemon was started under; `redis` the address of its Redis
    without passwords, '' in a file of an older version.

    Helpers are running (up), starting or waiting to be started. `down`: those in use that are not up,
    each since when, by the monotonic clock; a start that comes to nothing changes nothing there.
    """

    pid: int
    started_at: float
    nonce: str
    scoreboard: str
    queues: dict[str, list[SlotState]]
    helpers: dict[str, str]
    down: dict[str, float] = {}
    pools: dict[str, PoolState] = {}
    leavers: list[SlotState] = []
    version: int = 1
    generation: int = 1
    jobd: str = ""
    redis: str = ""
    namespace: str = ""
    where: str = ""
    reloading: bool = False
    reload_at: float | None = None
    reload_error: str | None = None
    stopping: bool = False
    last_error: str | None = None


def write(runtime_dir: Path, state: State) -> None:
    """Replace the file. Raises OSError."""
    target = runtime_dir / NAME
    fresh = runtime_dir / f"{NAME}.new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - the mode is set at creation
        file.write(msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")
    fresh.replace(target)


def read(runtime_dir: Path) -> State | None:
    """Read the file, or None when no daemon has written one.

    Raises ValueError when it is not a state file of this version.
    """
    target = runtime_dir / NAME
    try:
        raw = target.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(raw, type=State)
    except UNREADABLE_JSON as bad:
        raise ValueError(f"{target}: {bad}; expected the file of a running jobd daemon") from bad
