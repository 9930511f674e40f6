"""A configuration is read from what it is in: a file, or a pipe whose writer is waited for, and not for ever."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from jobd.seams import configfile

MOST = 1 << 20
TEXT = b"# a configuration\n" * 10_000  # more than a pipe holds


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "jobd.toml"
    os.mkfifo(path)
    return path


def test_a_file_is_read_up_to_a_byte_more_than_it_may_have(tmp_path: Path) -> None:
    """So that who reads it can tell."""
    file = tmp_path / "jobd.toml"
    file.write_bytes(TEXT)

    assert configfile.read(file, MOST) == TEXT
    assert configfile.read(file, 10) == TEXT[:11]
    assert configfile.read(Path("/dev/zero"), 10) == bytes(11)
    with pytest.raises(IsADirectoryError):
        configfile.read(tmp_path, MOST)
    with pytest.raises(FileNotFoundError):
        configfile.read(tmp_path / "none", MOST)


def test_the_writer_of_a_pipe_is_waited_for(pipe: Path) -> None:
    """To its end, in however many pieces it writes."""

    def write() -> None:
        with pipe.open("wb") as file:
            for start in range(0, len(TEXT), 50_000):
                file.write(TEXT[start : start + 50_000])
                file.flush()

    writer = threading.Thread(target=write)
    writer.start()
    found = configfile.read(pipe, MOST, within=20)
    writer.join()

    assert found == TEXT


def test_what_was_written_before_is_read(tmp_path: Path) -> None:
    """As a shell's <(...) does it: the writer has ended before anybody looks."""
    reading, writing = os.pipe()
    try:
        os.write(writing, b"app = 1\n")
        os.close(writing)

        assert configfile.read(Path(f"/dev/fd/{reading}"), MOST, within=20) == b"app = 1\n"
    finally:
        os.close(reading)


def test_a_pipe_that_nobody_writes_to_is_given_up(pipe: Path) -> None:
    """Saying what was waited for."""
    with pytest.raises(TimeoutError, match=r"a pipe, and nobody has written to it within 0\.05 s"):
        configfile.read(pipe, MOST, within=0.05)


def test_a_writer_that_does_not_end_is_given_up(pipe: Path) -> None:
    """Half a configuration is none."""
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(pipe, os.O_WRONLY)
    os.close(reading)
    try:
        # Somebody who reads has to be there for what is written to be kept.
        reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        os.write(writing, b"app = 1\n")
        with pytest.raises(TimeoutError, match="who writes to it has not ended within"):
            configfile.read(pipe, MOST, within=0.05)
    finally:
        os.close(reading)
        os.close(writing)
