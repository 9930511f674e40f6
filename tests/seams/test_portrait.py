"""A daemon by its files, when one of them is older than what it tells of."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.tallied import slot, write_state

from jobd.seams import clock, host, portrait
from jobd.seams.scoreboard import Scoreboard

GONE = 2**22 + 5  # no pid is so high


def _lives(board: Scoreboard, page: int, incarnation: str, name: str, pid: int) -> None:
    board.pages[page].hand_out(incarnation=incarnation, queue="q", slot=name)
    board.pages[page].adopt(pid=pid, start_ticks=host.start_ticks(os.getpid()))
    board.pages[page].set_phase(2)


def test_of_an_old_file_nobody_is_named_who_has_ended(tmp_path: Path) -> None:
    """Who lives by the scoreboard and the system is, also in a slot that the file does not know."""
    queues = {"q": [slot("q.1", incarnation="old", pid=GONE), slot("q.2", pid=GONE + 1)]}
    leavers = [slot("q.1", incarnation="older", pid=GONE + 2, leaving="reload")]
    board = write_state(tmp_path, queues=queues, leavers=leavers)
    _lives(board, 0, "old", "q.1", GONE)
    _lives(board, 1, "new", "q.1", os.getpid())
    _lives(board, 2, "grown", "q.3", os.getpid())
    board.set_stale(clock.mono() - 7.0)

    daemon = portrait.look(tmp_path)

    assert daemon is not None
    assert daemon.stale is not None
    assert daemon.stale >= 7.0
    here = os.getpid()
    assert [(each.slot, each.pid, each.phase) for each in daemon.workers] == [
        ("q.1", here, "idle"), ("q.2", None, "vacant"), ("q.3", here, "idle"),
    ]  # fmt: skip


def test_a_file_that_is_up_to_date_is_taken_as_it_is(tmp_path: Path) -> None:
    write_state(tmp_path, queues={"q": [slot("q.1", incarnation="a", pid=GONE)]})
    daemon = portrait.look(tmp_path)
    assert daemon is not None
    assert daemon.stale is None
    assert [each.pid for each in daemon.workers] == [GONE]


@pytest.mark.parametrize("pid", [GONE, os.getpid()], ids=["ended", "alive"])
def test_a_scoreboard_of_another_version(tmp_path: Path, pid: int) -> None:
    """Left behind by one that has ended it says that none runs; one that runs cannot be read."""
    board = write_state(tmp_path, queues={"q": [slot("q.1", pid=pid)]})
    with board.path.open("r+b") as file:
        file.write(b"jobd-sb1")
    state = tmp_path / "state.json"
    said = json.loads(state.read_text())
    state.write_text(json.dumps(said | {"pid": pid}))

    if pid == GONE:
        daemon = portrait.look(tmp_path)
        assert daemon is not None
        assert not daemon.running
    else:
        with pytest.raises(portrait.StateUnreadable, match="not a scoreboard of this version"):
            portrait.look(tmp_path)
