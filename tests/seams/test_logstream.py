"""The log's stream: whole records, whoever reads them, however slowly."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from jobd.core.output_events import TaskOutput
from jobd.seams import logstream
from jobd.seams.log import Log
from jobd.seams.logstream import LogStream


def small_pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    return reader, writer


def test_a_reader_that_stands_still_costs_records_and_a_bounded_wait() -> None:
    """The first record too many is waited for, the next ones are not; then their number is told."""
    reader, writer = small_pipe()
    fd = logstream.own(writer)
    log = Log(style="json", level="info", role="supervisor", fd=fd, patience=0.2)
    event = TaskOutput(slot="q.1", text="x" * 3000)
    log(event)
    began = time.monotonic()
    for _ in range(200):
        log(event)
    assert 0.2 <= time.monotonic() - began < 20.0

    first = os.read(reader, 1 << 16)
    log(event)
    os.close(fd)
    os.close(writer)
    rest = b""
    while data := os.read(reader, 1 << 16):
        rest += data
    os.close(reader)
    records = [msgspec.json.decode(line) for line in (first + rest).splitlines()]
    assert [record["event"] for record in records][:2] == ["task.output"] * 2


def test_how_many_were_lost_is_told_when_somebody_reads_again() -> None:
    reader, writer = small_pipe()
    fd = logstream.own(writer)
    log = Log(style="json", level="info", role="supervisor", fd=fd, patience=0)
    log(TaskOutput(slot="q.1", text="x" * 3000))
    assert not log.loses
    for _ in range(3):
        log(TaskOutput(slot="q.1", text="x" * 3000))
        assert log.loses  # for who would say that something stands in the log
    os.read(reader, 1 << 16)
    log(TaskOutput(slot="q.1", text="again"))
    assert not log.loses
    again, told = (msgspec.json.decode(line) for line in os.read(reader, 1 << 16).splitlines())

    assert again["text"] == "again"
    assert (told["event"], told["records"]) == ("log.stalled", 3)
    for each in (reader, writer, fd):
        os.close(each)


def stream_of(kind: str, directory: Path) -> tuple[int, int]:
    if kind == "pipe":
        return small_pipe()
    if kind == "socket":
        ours, theirs = socket.socketpair()
        return ours.detach(), theirs.detach()
    writer = os.open(directory / "log", os.O_WRONLY | os.O_CREAT)
    return os.open(directory / "log", os.O_RDONLY), writer


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(place)]
    if os.getuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_costs_records_and_their_number_is_told_when_there_is_room(
    small_disk: Path,
) -> None:
    """The one that did not fit as a whole is taken back: all that stands there can be read."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 4096)
    fd = os.open(small_disk / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    log = Log(style="json", level="info", role="supervisor", fd=fd, patience=10.0)
    began = time.monotonic()
    for _ in range(10):
        log(TaskOutput(slot="q.1", text="x" * 3000))
    assert time.monotonic() - began < 10.0
    assert 3000 < (small_disk / "log").stat().st_size < 3500

    ballast.unlink()
    log(TaskOutput(slot="q.1", text="again"))
    os.close(fd)
    records = [msgspec.json.decode(line) for line in (small_disk / "log").read_bytes().splitlines()]

    assert [record.get("text", "")[:5] for record in records] == ["xxxxx", "again", ""]
    assert (records[-1]["event"], records[-1]["records"]) == ("log.stalled", 9)


@pytest.mark.parametrize("appends", [os.O_APPEND, 0])
def test_on_a_full_disk_no_process_writes_on_behind_half_a_record_of_another(
    small_disk: Path, appends: int
) -> None:
    """They share the file: what one could not finish would have the next one's record glued to it."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 4096)
    shared = os.open(small_disk / "log", os.O_WRONLY | os.O_CREAT | appends)
    fds = [logstream.own(shared) for _ in range(3)]
    logs = [Log(style="json", level="info", role="worker", fd=fd, patience=0.2) for fd in fds]
    for n in range(4):
        for slot, log in enumerate(logs):
            log(TaskOutput(slot=f"q.{slot}", text=f"{n}" * (700 + 211 * slot)))
    ballast.unlink()
    for log in reversed(logs):
        log(TaskOutput(slot="q.1", text="again"))
    for fd in (*fds, shared):
        os.close(fd)
    lines = (small_disk / "log").read_bytes().splitlines()
    records = [msgspec.json.decode(line) for line in lines]
    assert [r["text"] for r in records if "text" in r][-3:] == ["again"] * 3
    assert {r["event"] for r in records} == {"task.output", "log.stalled"}


def test_a_disk_that_is_full_from_the_start_ends_nothing() -> None:
    fd = os.open("/dev/full", os.O_WRONLY)
    stream = LogStream(fd)
    assert [stream.write(b"record\n") for _ in range(3)] == [False] * 3
    assert stream.lost() == 0
    os.close(fd)


@pytest.mark.parametrize("kind", ["pipe", "socket", "file"])
def test_records_of_many_writers_are_never_mixed(kind: str, tmp_path: Path) -> None:
    """However long a line is, and however slowly they are read."""
    reader, writer = stream_of(kind, tmp_path)
    room = LogStream(writer).room
    fds = [logstream.own(writer) for _ in range(4)]
    os.close(writer)

    def write(number: int, fd: int) -> None:
        log = Log(style="json", level="info", role="worker", fd=fd, patience=30)
        for size in (10, 20_000, 500, 5000):
            log(TaskOutput(slot=f"q.{number}", text=f"{number}" * size))
        os.close(fd)

    threads = [threading.Thread(target=write, args=pair) for pair in enumerate(fds)]
    for thread in threads:
        thread.start()
    if kind == "file":
        for thread in threads:
            thread.join()
    text = b""
    while data := os.read(reader, 1 << 16):
        text += data
    os.close(reader)
    for thread in threads:
        thread.join()

    counts = dict.fromkeys("0123", 0)
    for line in text.splitlines():
        record = msgspec.json.decode(line)
        assert len(line) < room <= 16 << 10
        assert set(record["text"]) == {record["slot"][-1]}
        counts[record["slot"][-1]] += len(record["text"])
    assert set(counts.values()) == {25_510}


def test_a_number_that_is_another_files_by_now_is_not_written_to(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A task may close all it finds; a connection to Redis may get the number."""
    reader, writer = os.pipe()
    stream = LogStream(logstream.own(writer))
    os.close(stream.fd)
    somebodys = os.open(tmp_path / "precious", os.O_WRONLY | os.O_CREAT)
    os.dup2(somebodys, stream.fd)

    assert stream.write(b"record\n")
    assert (tmp_path / "precious").read_bytes() == b""
    assert capfd.readouterr().err == "record\n"
    for each in (reader, writer, somebodys, stream.fd):
        os.close(each)


def test_our_own_descriptor_changes_nothing_for_those_who_share_the_stream() -> None:
    reader, writer = os.pipe()
    fd = logstream.own(writer)

    assert os.get_blocking(writer)
    assert not os.get_blocking(fd)
    assert not os.get_inheritable(fd)
    for each in (reader, writer, fd):
        os.close(each)
