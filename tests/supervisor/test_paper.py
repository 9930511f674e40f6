"""state.json on a disk that is full: what is said of it, and where."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.worlds import new_fleet

from jobd.core.events import Event, StateUnwritten, StateWritten
from jobd.seams import statefile
from jobd.seams.scoreboard import Owner, Scoreboard
from jobd.seams.systemd import Notifier
from jobd.supervisor.paper import StatePaper


class Desk:
    """A paper in a directory that can be closed to it, in virtual time."""

    def __init__(self, directory: Path) -> None:
        self.now = 1000.0
        self.said: list[Event] = []
        self.directory = directory
        owner = Owner("n", 1, 1, "boot")
        self.board = Scoreboard.create(directory / "board", owner=owner, pages=1)
        self.fleet = new_fleet()
        self.paper = StatePaper(
            directory, directory, self.board,
            notifier=Notifier(), emit=self.said.append, now=lambda: self.now,
        )  # fmt: skip
        self.write("begins")

    def write(self, error: str) -> None:
        self.fleet.last_error = error
        self.paper.write(self.fleet)

    def close(self) -> None:
        (self.directory / "state.json.new").mkdir()

    def reopen(self) -> None:
        (self.directory / "state.json.new").rmdir()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    return Desk(tmp_path)


def test_what_cannot_be_written_is_said_at_once_and_then_every_minute(desk: Desk) -> None:
    """Each event changes the state: a crash loop on a full disk must not fill the log as well."""
    desk.close()
    for n in range(600):
        desk.write(f"{n}")
        desk.now += 0.2
    assert all(isinstance(each, StateUnwritten) for each in desk.said)
    assert [event.since for event in desk.said if isinstance(event, StateUnwritten)] == [0, 60]


def test_the_scoreboard_tells_since_when_the_file_is_old(desk: Desk) -> None:
    """Who reads the file alone takes it for how things are."""
    assert desk.board.stale_since() is None
    desk.close()
    desk.write("new")
    desk.now += 5
    desk.write("newer")
    assert desk.board.stale_since() == 1000.0


def test_it_is_tried_again_though_nothing_changes_and_its_end_is_said(desk: Desk) -> None:
    desk.close()
    desk.write("new")
    desk.reopen()
    desk.write("new")
    assert desk.board.stale_since() == 1000.0  # not at each turn of the loop
    desk.now += 1.0
    desk.write("new")
    state = statefile.read(desk.directory)
    assert state is not None
    assert state.last_error == "new"
    assert desk.board.stale_since() is None
    assert desk.said[1:] == [StateWritten(after=1.0)]
