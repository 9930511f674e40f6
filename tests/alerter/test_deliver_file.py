"""The outbox in a file: what one host has to tell while Redis is away (I-48)."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from support.notes import AT, a_note
from support.servers import eventually

from jobd.core.alerts.delivery import KEPT, LEASE, MOST, Delivery
from jobd.core.delivery_events import OutboxUnreadable, OutboxUnwritten
from jobd.core.events import Event
from jobd.seams.alert_outbox import FileOutbox


class Clock:
    """Wall and monotonic time, moved by hand."""

    def __init__(self) -> None:
        self.at = 0.0

    def ms(self) -> int:
        return AT + round(self.at * 1000)

    def mono(self) -> float:
        return self.at


class Host:
    """A runtime directory, and processes over it one after another."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "outbox.json"
        self.clock = Clock()
        self.said: list[Event] = []

    def box(self, most: int = MOST) -> FileOutbox:
        return FileOutbox(
            self.path, emit=self.said.append, most=most, now_ms=self.clock.ms, mono=self.clock.mono
        )


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def ids(taken: list[Delivery]) -> list[str]:
    return [each.id for each in taken]


def test_what_was_put_in_is_taken_as_it_was_after_a_restart(host: Host) -> None:
    note = a_note(host="web1", summary="ümläut\n<b>")
    host.box().add(note, ["ops", "pager"])
    host.clock.at = 7

    box = host.box()
    [first] = box.take(["ops"])
    assert (first.notification, first.sink, first.tries, first.waited) == (note, "ops", 1, 7.0)
    assert box.take(["ops", "other"], 9) == []
    box.done(first)
    box = host.box()
    [second] = box.take(["ops", "pager"], 9)
    box.give_up(second)
    assert len(box) == len(host.box()) == 0
    assert host.path.stat().st_mode & 0o777 == 0o600


def test_taken_is_leased_and_a_restart_ends_the_lease(host: Host) -> None:
    box = host.box()
    box.add(a_note(), ["ops"])
    assert [each.tries for each in box.take(["ops"])] == [1]
    host.clock.at = LEASE - 1
    assert box.take(["ops"]) == []
    assert len(host.box().take(["ops"])) == 1
    host.clock.at = LEASE
    assert [each.tries for each in box.take(["ops"])] == [2]


def test_a_failure_puts_it_off_over_a_restart_too(host: Host) -> None:
    box = host.box()
    box.add(a_note(), ["ops"])
    box.again(box.take(["ops"])[0], 30)
    for each in (box, host.box()):
        host.clock.at = 29.9
        assert each.take(["ops"]) == []
        host.clock.at = 30
        assert [d.tries for d in each.take(["ops"])] == [2]


def test_a_wall_clock_set_back_puts_nothing_off_for_ever(host: Host) -> None:
    box = host.box()
    box.add(a_note(), ["ops"])
    box.again(box.take(["ops"])[0], 60)
    host.clock.at = -86_400
    [taken] = box.take(["ops"])
    assert taken.waited == 0


def test_a_late_word_after_the_lease_puts_nothing_off(host: Host) -> None:
    box = host.box()
    box.add(a_note(), ["ops"])
    [late] = box.take(["ops"])
    host.clock.at = LEASE
    [now] = box.take(["ops"])
    box.again(late, 1000)
    box.again(now, 1)
    host.clock.at = LEASE + 1
    assert len(box.take(["ops"])) == 1


def test_a_rules_next_word_waits_for_the_one_before(host: Host) -> None:
    box = host.box()
    box.add(a_note(1), ["ops", "pager"])
    box.add(a_note(2, status="resolved"), ["ops", "pager"])
    box.add(a_note(3, rule="other"), ["ops"])
    taken = box.take(["ops"], 9)
    assert ids(taken) == [a_note(1).id, a_note(3).id]
    box.again(taken[0], 5)
    assert box.take(["ops"], 9) == []
    box.done(box.take(["pager"])[0])
    assert ids(box.take(["pager"], 9)) == [a_note(2).id]
    host.clock.at = 5
    box.give_up(box.take(["ops"])[0])
    assert ids(box.take(["ops"], 9)) == [a_note(2).id]


def test_it_is_bounded_and_counts_what_it_drops(host: Host) -> None:
    box = host.box(most=100)
    assert sum(box.add(a_note(n), ["ops", "pager"]) for n in range(150)) == 100
    assert box.dropped() == host.box().dropped() == 100
    told = []
    while taken := box.take(["ops"]):
        box.done(taken[0])
        told += ids(taken)
    assert told == [a_note(n).id for n in range(50, 150)]


@pytest.mark.parametrize("garbage", [b"", b"{", b"\xff", b"[]", b'{"entries": [{}]}', b"[" * 9999])
def test_a_file_that_cannot_be_read_is_moved_aside_and_said(host: Host, garbage: bytes) -> None:
    host.path.write_bytes(garbage)
    box = host.box()
    [said] = host.said
    assert isinstance(said, OutboxUnreadable)
    assert Path(said.aside).read_bytes() == garbage
    box.add(a_note(), ["ops"])
    assert len(host.box()) == 1


def test_what_cannot_be_written_is_told_all_the_same_and_said_once(host: Host) -> None:
    box = host.box()
    blocker = host.path.with_suffix(".new")
    blocker.mkdir()
    box.add(a_note(1), ["ops"])
    box.add(a_note(2), ["ops"])
    assert [type(each) for each in host.said] == [OutboxUnwritten]
    assert ids(box.take(["ops"])) == [a_note(1).id]
    blocker.rmdir()
    box.add(a_note(3), ["ops"])
    assert len(host.box()) == 3


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, "tests")
from support.notes import a_note
from jobd.seams.alert_outbox import FileOutbox
box = FileOutbox(Path(sys.argv[1]), emit=print)
n = int(sys.argv[2])
while True:
    n += 1
    box.add(a_note(n, rule=f"r{n % 5}"), ["ops"])
    print("added", n, flush=True)
    if n % 3 == 0:
        [taken] = box.take(["ops"])
        print("telling", taken.id, flush=True)
        box.done(taken)
        print("told", taken.id, flush=True)
"""


def test_a_process_killed_at_any_moment_loses_nothing(host: Host) -> None:
    """8 kills; what was said to be added is there, unless it was told."""
    added: set[str] = set()
    told: set[str] = set()
    telling: set[str] = set()
    last = 0
    for round_ in range(8):
        log = host.path.parent / f"log{round_}"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-c", WRITER, str(host.path), str(last)], stdout=out,
                cwd=Path(__file__).parents[2],
            )  # fmt: skip
        wanted = random.Random(round_).randrange(1, 40)
        eventually(lambda log=log, wanted=wanted: log.read_bytes().count(b"\n") > wanted)
        process.kill()
        process.wait()
        for word, what in (line.split() for line in log.read_text().splitlines()):
            if word == "added":
                added.add(a_note(int(what)).id)
                last = int(what)
            else:
                (told if word == "told" else telling).add(what)
        box = host.box()
        there = {each.notification.id for each in box._file.entries}
        assert not there & told
        assert added - told - telling <= there
        last += 1  # the one after it may be there too
    assert len(told) > 8
    assert not [each for each in host.said if isinstance(each, OutboxUnreadable)]
    assert {name.name for name in os.scandir(host.path.parent)} >= {"outbox.json"}


def test_what_nobody_takes_is_dropped_and_counted_after_two_days(host: Host) -> None:
    """Its sink is gone; should it come back, it is not to hear of what was long ago."""
    box = host.box()
    box.add(a_note(id="1"), ["gone", "ops"])
    host.clock.at = KEPT - 1
    assert ids(box.take(["ops"])) == ["1"]
    host.clock.at = KEPT + 1
    box.add(a_note(id="2"), ["gone"])
    assert box.take(["ops"]) == []
    assert (len(box), box.dropped()) == (1, 2)
    assert ids(host.box().take(["gone"])) == ["2"]


def test_what_could_not_be_written_is_written_when_there_is_room(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though nothing else changes: the next process must know of it."""
    box = host.box()
    with monkeypatch.context() as full:
        full.setattr(os, "open", no_room)
        box.add(a_note(id="1"), ["ops"])
    assert host.box().take(["ops"]) == []
    box.take(["other"])
    assert ids(host.box().take(["ops"])) == ["1"]


def no_room(*_: object, **__: object) -> int:
    raise OSError(28, "No space left on device")
