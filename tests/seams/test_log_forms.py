"""Whatever names and errors hold, a record is one line that its reader understands."""

from __future__ import annotations

import importlib
import os
import pkgutil
import random
import typing
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from support.journald import Journald, parse

from jobd import core
from jobd.core import output_events
from jobd.core.events import Event, ReloadRefused
from jobd.seams import journal
from jobd.seams.log import Log

MODULES = [
    importlib.import_module(f"jobd.core.{found.name}")
    for found in pkgutil.iter_modules(core.__path__)
    if found.name.endswith("events")
]
# Each has hurt some reader of logs: ends of lines that are none, terminals, halves, quotes, long runs.
NASTY = (
    "\n", "\r", "\r\n", "\x00", "\x1b[2J\x1b]0;t\x07", "\x7f", "\x85", "\x9b31m", "\u2028", "\u2029",
    "\u202e", "\ufeff", "\ud800", "\udcff", "\U0001f600", "\U000e0001", "\U0010ffff", "\u0301", '"',
    "\\", "\\u0000", "=", " ", "\t", "x=1 y=2", '{"level":"info"}', "<3>", "MESSAGE=", "é", "日本", "x" * 5000,
    "\x07" * 3000,
)  # fmt: skip


def classes() -> list[type[Event]]:
    """All that can be told."""
    found = [
        each for module in MODULES for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Event) and each is not Event
    ]  # fmt: skip
    assert len(found) > 50
    return found


def nasty(chance: random.Random) -> str:
    return "".join(chance.choices(NASTY, k=chance.randrange(6)))


def value(chance: random.Random, kind: object) -> object:
    """Make one of the kind that a field has."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is str:
        return nasty(chance)
    if kind is bool:
        return chance.random() < 0.5
    if kind is int:
        return chance.randrange(-(2**60), 2**60)
    if kind is float:
        return chance.choice((0.0, 1e-9, 25.0, 1e300))
    if origin in (tuple, list):
        return origin(value(chance, arguments[0]) for _ in range(chance.choice((0, 1, 3, 40))))
    assert arguments, kind
    chosen = chance.choice(arguments)
    if chosen is type(None):
        return None
    return chosen if origin is typing.Literal else value(chance, chosen)


def some_events(count: int, seed: int) -> Iterator[Event]:
    chance = random.Random(seed)
    kinds = {kind: typing.get_type_hints(kind) for kind in classes()}
    for number in range(count):
        kind = [*kinds][number % len(kinds)]
        yield kind(**{name: value(chance, kinds[kind][name]) for name in kind.__struct_fields__})


def written(style: str, count: int, file: Path, seed: int = 1) -> list[bytes]:
    fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    log = Log(style=style, level="debug", role="worker", fd=fd, bound={"slot": "email.1"})
    for event in some_events(count, seed):
        log(event)
    os.close(fd)
    *lines, end = file.read_bytes().split(b"\n")
    assert end == b""
    return lines


@pytest.mark.parametrize("style", ["json", "console", "journal"])
def test_each_line_is_a_record_that_can_be_read_and_does_nothing_to_a_terminal(
    style: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "SOCKET", tmp_path / "none")
    count = 400
    lines = written(style, count, tmp_path / "log")
    assert len(lines) >= count
    assert max(map(len, lines)) < 16 << 10
    for line in lines:
        text = line.decode()
        assert text.isprintable()
        if style == "json":
            record = msgspec.json.decode(line)
            assert {"ts", "level", "event", "role", "slot"} <= record.keys()
        elif style == "journal":
            assert text[0] == "<"
            assert text[1] in "3467"
            assert text[2] == ">"


@pytest.mark.chaos
@pytest.mark.parametrize("style", ["json", "console", "journal"])
def test_each_of_very_many(style: str, tmp_path: Path) -> None:
    """The same at length."""
    for seed in range(10, 20):
        lines = written(style, 2000, tmp_path / "log", seed)
        assert len(lines) >= 2000
        assert max(map(len, lines)) < 16 << 10
        for line in lines:
            assert line.decode().isprintable()
            assert style != "json" or msgspec.json.decode(line)["event"]


def test_json_says_what_was_said(tmp_path: Path) -> None:
    """What is no whole character is written out; all else comes back as it was."""
    fd = os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT)
    log = Log(style="json", level="info", role="worker", fd=fd)
    for text in NASTY[:-2]:
        log(output_events.TaskOutput(slot="q.1", text=text))
    os.close(fd)
    said = [
        msgspec.json.decode(line)["text"] for line in (tmp_path / "log").read_bytes().splitlines()
    ]
    assert said == [text.encode("utf-8", "backslashreplace").decode() for text in NASTY[:-2]]


def test_each_record_for_the_journal_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journald = Journald(tmp_path / "socket")
    monkeypatch.setattr(journal, "SOCKET", journald.path)
    fd = os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT)
    log = Log(style="journal", level="debug", role="worker", fd=fd, bound={"slot": "email.1"})
    count = 0
    for event in some_events(400, seed=2):
        log(event)
        for datagram in journald.datagrams():
            count += 1
            entry = parse(datagram)
            assert len(datagram) <= 16 << 10
            [message] = entry["MESSAGE"]
            assert message.decode().isprintable()
            assert entry["JOBD_EVENT"] == [event.event.encode()]
    assert count >= 400
    assert os.fstat(fd).st_size == 0
    os.close(fd)
    os.close(log.descriptors[1])
    journald.close()


def test_a_line_for_a_pipe_is_short_enough_to_go_in_at_once(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    log = Log(style="json", level="info", role="keeper", fd=writer)
    why = "\n".join(f"jobd.toml: queues.q{n}: unknown" for n in range(1000))
    log(ReloadRefused(why=why))
    line = os.read(reader, 1 << 16)
    assert 2048 < len(line) <= 4096
    assert msgspec.json.decode(line)["why"][:-1] == why[: len(msgspec.json.decode(line)["why"]) - 1]
    for each in (reader, writer):
        os.close(each)
