"""What memory a process takes: against pages that are really written, shared and mapped."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from jobd.seams import host, memory

MB = 1000**2


@contextmanager
def forked(work: Callable[[], object]) -> Iterator[int]:
    """A child that has done its work and waits, to be looked at."""
    ready, done = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ready[0])
        os.close(done[1])
        kept = work()
        os.write(ready[1], b"r")
        os.read(done[0], 1)
        os._exit(0 if kept is not None else 1)
    os.close(ready[1])
    os.close(done[0])
    assert os.read(ready[0], 1) == b"r"
    try:
        yield pid
    finally:
        os.close(done[1])
        os.close(ready[0])
        os.waitpid(pid, 0)


def written(size: int) -> bytearray:
    block = bytearray(size)
    block[:: memory.PAGE] = b"x" * len(block[:: memory.PAGE])
    return block


def test_what_is_written_after_the_fork_is_its_own_and_what_was_there_is_shared() -> None:
    """As a worker of a preloaded application."""
    application = written(60 * MB)
    with forked(lambda: written(40 * MB)) as pid:
        found = memory.held(pid)
        assert found is not None
        assert 40 * MB <= found.private < 50 * MB
        assert found.shared >= 60 * MB
        assert memory.resident(pid) >= 100 * MB
    assert len(application) == 60 * MB


def test_a_file_that_is_only_read_is_nobodys_own(tmp_path: Path) -> None:
    """However much of it is in memory: the kernel may drop it."""
    path = tmp_path / "model"
    with path.open("wb") as file:
        file.write(bytes(30 * MB))
        file.flush()
        os.fsync(file.fileno())  # until it is on the disk nobody could drop it

    def read() -> object:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return sum(mapped[:: memory.PAGE]), mapped

    with forked(read) as pid:
        found = memory.held(pid)
        assert found is not None
        assert found.private < 8 * MB, found
        assert memory.resident(pid) >= 30 * MB


def test_it_agrees_with_psutil() -> None:
    """Which counts clean private pages too, so it has at least as much."""
    with forked(lambda: written(40 * MB)) as pid:
        found, theirs = memory.held(pid), psutil.Process(pid).memory_full_info()
        assert found is not None
        assert theirs.uss - 5 * MB < found.private <= theirs.uss + theirs.swap
        assert memory.resident(pid) == pytest.approx(theirs.rss, abs=MB)


def test_without_a_rollup_the_maps_are_added_up() -> None:
    """Kernels before 4.14."""
    with forked(lambda: written(40 * MB)) as pid:
        expected, found = memory.held(pid), memory.held(pid, rollup="no_such_file")
        assert expected is not None
        assert found is not None
        assert found.private == pytest.approx(expected.private, abs=2 * MB)
        assert found.shared == pytest.approx(expected.shared, abs=2 * MB)


def test_who_has_ended_holds_nothing() -> None:
    """A zombie, and a number that is nobody's."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    pidfd = host.open_pid(pid)
    assert pidfd is not None
    assert host.ended(pidfd, 5.0)
    assert (memory.resident(pid), memory.held(pid)) == (0, None)
    assert host.reap(pidfd) is not None
    os.close(pidfd)
    assert (memory.resident(pid), memory.held(pid)) == (0, None)
