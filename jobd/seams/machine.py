"""What the machine allows: limits of processes, memory, files; the runtime directory's file system.

Read by `jobd doctor`. Where a running daemon is known its own limits are read (/proc/PID/limits), else
those of this process. What cannot be read is None: a container shows little of its host.
"""

from __future__ import annotations

import os
import stat as modes
from pathlib import Path

from jobd.core.doctor.limits import MachineFacts
from jobd.core.doctor.place import PlaceFacts

_CGROUPS = Path("/sys/fs/cgroup")


def machine_facts(pid: int | None) -> MachineFacts:
    """Read what holds for the process `pid`, or for this one."""
    whose = "this shell" if pid is None else "the daemon"
    process = os.getpid() if pid is None else pid
    limits = _limits(process)
    group = _cgroup(process)
    tasks, now, source = _tasks(process, limits, group)
    return MachineFacts(
        whose=whose,
        memory=_memory_of_machine(),
        memory_limit=_least(group, "memory.max"),
        cpus=len(os.sched_getaffinity(0)),
        files=limits.get("Max open files"),
        tasks=tasks,
        tasks_now=now,
        tasks_source=source,
        overcommit=_number(Path("/proc/sys/vm/overcommit_memory")) or 0,
        kubernetes="KUBERNETES_SERVICE_HOST" in os.environ,
    )


def place_facts(directory: Path) -> PlaceFacts:
    """Read what the system says of a runtime directory."""
    path, me = str(directory), os.geteuid()
    try:
        found = directory.stat()
    except FileNotFoundError:
        return PlaceFacts(path=path, exists=False, me=me)
    except OSError:
        return PlaceFacts(path=path, entered=False, me=me)
    try:
        room = os.statvfs(directory)
        free = room.f_bavail * room.f_frsize
    except OSError:
        free = None
    return PlaceFacts(
        path=path,
        is_directory=modes.S_ISDIR(found.st_mode),
        owner=found.st_uid,
        me=me,
        mode=modes.S_IMODE(found.st_mode),
        filesystem=_filesystem(directory),
        free=free,
        entered=os.access(directory, os.R_OK | os.X_OK),
    )


def unit_of(pid: int) -> str | None:
    """Name the systemd service a process belongs to, by its control group."""
    for line in _lines(Path(f"/proc/{pid}/cgroup")):
        for part in reversed(line.rpartition(":")[2].split("/")):
            if part.endswith(".service") and not part.startswith("user@"):
                return part
    return None


def _limits(pid: int) -> dict[str, int]:
    """Read the soft limits; unlimited ones are left out."""
    found = {}
    for line in _lines(Path(f"/proc/{pid}/limits"))[1:]:
        name, soft = line[:26].strip(), line[26:47].strip()
        if soft.isdecimal():
            found[name] = int(soft)
    return found


def _cgroup(pid: int) -> list[Path]:
    """List the directories of a process' control group and of those above it (version 2)."""
    for line in _lines(Path(f"/proc/{pid}/cgroup")):
        if line.startswith("0::"):
            group = _CGROUPS / line[3:].lstrip("/")
            return [group, *(up for up in group.parents if up.is_relative_to(_CGROUPS))]
    return []


def _least(group: list[Path], name: str) -> int | None:
    found = [number for each in group if (number := _number(each / name)) is not None]
    return min(found, default=None)


def _tasks(
    pid: int, limits: dict[str, int], group: list[Path]
) -> tuple[int | None, int | None, str]:
    """Give how many processes and threads there may be, how many there are, and who says so."""
    uid = _owner(pid)
    choices: list[tuple[int, int, str]] = []
    for each in group:
        most, now = _number(each / "pids.max"), _number(each / "pids.current")
        if most is not None:
            choices.append((most, now or 0, "pids.max of the control group"))
    # Root is not held to it.
    if uid not in (0, None) and "Max processes" in limits:
        choices.append((limits["Max processes"], _threads_of(uid or 0), "RLIMIT_NPROC"))
    if not choices:
        return None, None, ""
    return min(choices, key=lambda choice: choice[0] - choice[1])


def _owner(pid: int) -> int | None:
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return None


def _threads_of(uid: int) -> int:
    count = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and _owner(int(entry.name)) == uid:
            try:
                count += len(list((entry / "task").iterdir()))
            except OSError:
                continue  # it has ended, or is not ours to look into
    return count


def _memory_of_machine() -> int | None:
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return None


def _filesystem(directory: Path) -> str | None:
    """Name the type of file system a directory lies on: that of the longest mount above it."""
    path = os.path.realpath(directory)
    best, kind = -1, None
    for line in _lines(Path("/proc/self/mounts")):
        _, where, what, *_ = line.split()
        where = where.replace("\\040", " ")
        inside = path == where or path.startswith(where.rstrip("/") + "/")
        if inside and len(where) >= best:
            best, kind = len(where), what
    return kind


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
