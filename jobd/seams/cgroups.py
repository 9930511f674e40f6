"""The kernel's count of processes it killed for want of memory: of our control group, else of the host.

A SIGKILL that nobody here sent has often this sender, and it tells no one. Its counters tell: they grow
as it kills, before the process has ended. A group's counts its members also where the whole host was short
of memory; so the host's, which counts the neighbours' too, is asked only where no group's can be read.

    cgroup v2   memory.events        oom_kill, of the group and all below it
    cgroup v1   memory.oom_control   oom_kill, of the group alone
    the host    /proc/vmstat         oom_kill, everybody's

Called by the supervisor.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from pathlib import Path

# A process of many GB takes its time to end after the kernel has killed it.
_REMEMBER = 10.0
_VMSTAT = Path("/proc/vmstat")
_GROUP = Path("/proc/self/cgroup")


class OomKills:
    """Tells whether a SIGKILL may have been the kernel's, from counters that only grow."""

    def __init__(self, files: Iterable[Path] | None = None) -> None:
        self._given = None if files is None else [*files]
        self._group, self._files = "", self._given or []
        self._past: deque[tuple[float, dict[Path, int]]] = deque([(-math.inf, self._read())])
        self._taken: dict[Path, int] = {}  # up to where they have explained somebody's end

    def note(self, now: float) -> None:
        """Remember where the counters stand; called once a second or so."""
        self._past.append((now, self._read()))
        while len(self._past) > 1 and self._past[1][0] <= now - _REMEMBER:
            self._past.popleft()

    def explains(self) -> bool:
        """Say whether one more kill was counted lately than was asked for; where none can be, yes."""
        found, before = self._read(), self._past[0][1]
        grew = False
        for file, count in found.items():
            explained = max(before.get(file, 0), self._taken.get(file, 0))
            if count > explained:
                self._taken[file] = explained + 1
                grew = True
        return grew or not found

    def _read(self) -> dict[Path, int]:
        if self._given is None and (group := _GROUP.read_text()) != self._group:
            # Whoever started us may put us into another one at any time.
            self._group, self._files = group, own_counters()
        return _counts(self._files)


def own_counters(proc: Path = Path("/proc/self")) -> list[Path]:
    """Find the files that count kills in this process' control group, or else on the host."""
    groups, mounts = (proc / "cgroup").read_text(), (proc / "mountinfo").read_text()
    found = []
    for line in groups.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "" or "memory" in controllers.split(","):
            name = "memory.oom_control" if controllers else "memory.events"
            found += [place / name for place in _places(mounts, controllers, path)][:1]
    return [*_counts(found)] or [_VMSTAT]


def _counts(files: Iterable[Path]) -> dict[Path, int]:
    return {file: count for file in files if (count := _oom_kill(file)) is not None}


def _places(mounts: str, controllers: str, path: str) -> Iterable[Path]:
    """Name the directories that a group may be seen at: under its mount, which may show a part only."""
    for line in mounts.splitlines():
        fields, _, kind = line.partition(" - ")
        filesystem, _, options = kind.split(" ", 2)
        root, at = fields.split(" ")[3:5]
        if controllers:
            wanted = filesystem == "cgroup" and "memory" in options.split(",")
        else:
            wanted = filesystem == "cgroup2"
        if not wanted:
            continue
        inside = path.removeprefix(root) if root != "/" and path.startswith(root) else path
        for place in (Path(at) / inside.lstrip("/"), Path(at)):
            if place.is_dir():
                yield place


def _oom_kill(file: Path) -> int | None:
    try:
        text = file.read_text()
    except OSError:  # no such controller here, or not to be read by us: others may be
        return None
    for line in text.splitlines():
        name, _, count = line.partition(" ")
        if name == "oom_kill":
            return int(count)
    return None
