"""A memory control group of our own, with a limit; the test is skipped where none can be made."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_V1 = Path("/sys/fs/cgroup/memory")
_V2 = Path("/sys/fs/cgroup")


@contextmanager
def memory_group(*, limit: int) -> Iterator[Path]:
    """Make the group; who is in it at the end must be gone or about to be."""
    v1 = (_V1 / "memory.limit_in_bytes").exists()
    group = (_V1 if v1 else _V2) / f"jobd-test-{os.getpid()}-{time.monotonic_ns()}"
    try:
        group.mkdir()
    except OSError as refused:
        pytest.skip(f"no memory group can be made here: {refused}")
    try:
        try:
            (group / ("memory.limit_in_bytes" if v1 else "memory.max")).write_text(str(limit))
        except OSError as refused:
            pytest.skip(f"a memory group has no limit here: {refused}")
        swap = group / ("memory.swappiness" if v1 else "memory.swap.max")
        if swap.exists():
            swap.write_text("0")
        yield group
    finally:
        _remove(group)


def _remove(group: Path) -> None:
    until = time.monotonic() + 10.0
    while True:
        try:
            group.rmdir()
        except OSError:  # somebody in it has not ended yet
            if time.monotonic() > until:
                raise
            os.sched_yield()
        else:
            return
