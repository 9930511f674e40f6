"""A limit on the number of processes, where this machine lets us set one (cgroup v1 or v2, as root)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.servers import eventually

TOPS = (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup"))


@contextlib.contextmanager
def limited(most: int) -> Iterator[Path]:
    """Make a cgroup with a limit; give its directory. Skips where that cannot be done."""
    for top in TOPS:
        group = top / f"jobd-zoo-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / "pids.max").write_text(str(most))
        except OSError:
            group.rmdir()
            continue
        break
    else:
        pytest.skip("no pids controller here that we may use")
    try:
        yield group
    finally:
        eventually(lambda: not members(group))
        group.rmdir()


def members(group: Path) -> list[int]:
    """Name the processes in a group."""
    return [int(line) for line in (group / "cgroup.procs").read_text().split()]


def refused(group: Path) -> int:
    """Say how often one more was refused there so far."""
    words = (group / "pids.events").read_text().split()
    return int(words[words.index("max") + 1])


def join(group: Path, pid: int) -> None:
    """Put a process, and all below it, into a group."""
    (group / "cgroup.procs").write_text(str(pid))
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for child in children:
        join(group, int(child))
