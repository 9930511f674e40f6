"""The lock of a runtime directory, as those see it who do not get it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from jobd.core.errors import AlreadyRunning
from jobd.seams import lockfile


def test_who_is_refused_is_told_by_whom_also_while_it_is_handed_over(tmp_path: Path) -> None:
    """A command takes it, and again as the daemon that it becomes: at no moment it is nobody's."""
    lock = lockfile.acquire(tmp_path)
    over = threading.Event()

    def becomes() -> None:
        while not over.is_set():
            lockfile.hand_over(lock)
            lockfile.acquire(tmp_path)

    becoming = threading.Thread(target=becomes)
    becoming.start()
    try:
        for _ in range(2000):
            descriptor = os.open(tmp_path / lockfile.NAME, os.O_RDONLY)
            said = os.pread(descriptor, 32, 0)
            os.close(descriptor)
            assert said == f"{os.getpid()}\n".encode()
    finally:
        over.set()
        becoming.join()
        os.close(lock)


def test_what_a_longer_number_has_left_says_nothing(tmp_path: Path) -> None:
    """Who died has left its own; whoever reads between a write and its end sees the rest of it."""
    (tmp_path / lockfile.NAME).write_text("99999999999\n")
    lock = lockfile.acquire(tmp_path)
    try:
        assert (tmp_path / lockfile.NAME).read_text() == f"{os.getpid()}\n"
        os.pwrite(lock, b"77\n999\n", 0)
        with pytest.raises(AlreadyRunning, match="with pid 77; expected"):
            lockfile.acquire(tmp_path)
    finally:
        os.close(lock)
