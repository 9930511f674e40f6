"""Finding processes that began below a daemon that is gone. Read by `jobd doctor`; it ends nobody.

Helpers and workers are known by their titles and have a supervisor for a parent; what tasks have
started is known by the daemon's mark, a resource limit (see jobd.seams.mark). Looked twice, since a
daemon that just ended is still being swept away.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from jobd.core.doctor.daemon import Stray
from jobd.seams import clock, host

_OURS = "jobd: "
_SUPERVISOR = "jobd: supervisor"
_SWEEPER = "jobd: sweeper"
_LEAST_MARK = 1 << 62
_AGAIN_AFTER = 0.3
_LONGEST_TITLE = 60


class _Process(NamedTuple):
    pid: int
    parent: int
    title: str
    mark: int | None


def strays() -> tuple[Stray, ...]:
    """List them. Of processes that may not be looked into nothing is known."""
    first = _look()
    if not first:
        return ()
    clock.pause(_AGAIN_AFTER)
    again = {stray.pid for stray in _look()}
    return tuple(stray for stray in first if stray.pid in again)


def _look() -> list[Stray]:
    found = {process.pid: process for process in _processes()}
    living = {
        process.mark
        for process in found.values()
        if process.mark is not None and _title_of(found, process.parent) == _SUPERVISOR
    }
    return [
        Stray(process.pid, process.title[:_LONGEST_TITLE])
        for process in found.values()
        if _is_stray(process, found, living)
    ]


def _is_stray(process: _Process, found: dict[int, _Process], living: set[int]) -> bool:
    if process.title in (_SUPERVISOR, _SWEEPER):
        return False
    if process.mark is not None:
        return process.mark not in living
    # For a moment a worker's parent is the preloader, or what that forks to fork it.
    ours = process.title.startswith(_OURS)
    return ours and not _title_of(found, process.parent).startswith(_OURS)


def _title_of(found: dict[int, _Process], pid: int) -> str:
    return found[pid].title if pid in found else ""


def _processes() -> list[_Process]:
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        pid = int(entry.name)
        stat = host.stat(pid)
        if stat is None or stat.state == "Z":
            continue
        try:
            title = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            found.append(_Process(pid, stat.parent, title.strip(), _mark(entry)))
        except OSError:
            continue  # it has ended, or is not ours to look into
    return found


def _mark(entry: Path) -> int | None:
    try:
        text = (entry / "limits").read_text()
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith("Max realtime timeout"):
            soft = line[26:].split()[0]
            return int(soft) if soft.isdecimal() and int(soft) >= _LEAST_MARK else None
    return None
