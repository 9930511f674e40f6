"""What a keeper says of its host, and what keeps it from that."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobd.broker.connection import Client
from jobd.broker.hosts import hosts
from jobd.keeper.hosts import EVERY, Speaker, key_of
from jobd.seams import host, statefile
from jobd.seams.scoreboard import Owner, Scoreboard
from jobd.seams.statefile import PoolState, SlotState, State


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A runtime directory of a daemon that is this very process."""
    pid = os.getpid()
    owner = Owner("n", pid, host.start_ticks(pid), host.boot_id())
    board = Scoreboard.create(tmp_path / "board", owner=owner, pages=2)
    board.pages[0].hand_out(incarnation="n.1", queue="q", slot="q.1")
    board.pages[0].start(0, b"job-7", 3, b"mail", 1.0, 0.0)
    slots = [
        SlotState(slot="q.1", phase="running", incarnation="n.1", pid=pid, memory=5),
        SlotState(slot="q.2", phase="vacant"),
    ]  # fmt: skip
    leaver = SlotState(slot="q.1", phase="draining", incarnation="n.0", pid=1, leaving="reload")
    statefile.write(
        tmp_path,
        State(
            pid=pid, started_at=1.0, nonce="n", scoreboard="board", queues={"q": slots}, helpers={"keeper": "running"},
            pools={"q": PoolState(target=2, gave_up=True, useless=6, exits={"crash": 3, "oom": 1})}, leavers=[leaver], reload_at=2.0,
            reload_error="no",
        ),
    )  # fmt: skip
    return tmp_path


def test_it_says_what_status_would_show_here(client: Client, directory: Path) -> None:
    Speaker(client, "t", directory).work(1000.0)

    [said] = hosts(client, "t")

    daemon = said.daemon
    assert daemon is not None
    assert daemon.running
    assert [(w.slot, w.job, w.leaving, w.memory) for w in daemon.workers] == [
        ("q.1", "job-7", None, 5), ("q.2", None, None, None), ("q.1", None, "reload", None),
    ]  # fmt: skip
    assert daemon.queues["q"].exits == {"crash": 3, "oom": 1}
    assert daemon.queues["q"].gave_up
    assert daemon.reload is not None
    assert daemon.reload.error == "no"


def test_it_says_it_rarely_and_takes_it_back(client: Client, directory: Path) -> None:
    speaker = Speaker(client, "t", directory)
    speaker.work(1000.0)
    client.delete("t:hosts")
    speaker.work(1000.0 + EVERY / 2)
    assert hosts(client, "t") == []
    speaker.work(1000.0 + EVERY)
    assert len(hosts(client, "t")) == 1
    speaker.unsay()
    assert hosts(client, "t") == []


def test_a_full_store_and_an_unreadable_file_are_no_alarm(client: Client, directory: Path) -> None:
    client.config_set("maxmemory", "1")
    Speaker(client, "t", directory).work(1000.0)
    client.config_set("maxmemory", "0")
    assert hosts(client, "t") == []
    (directory / "state.json").write_text("{")
    Speaker(client, "t", directory).work(1000.0)
    (directory / "state.json").unlink()
    Speaker(client, "t", directory).work(1000.0)
    assert hosts(client, "t") == []


def test_a_daemons_place_has_one_name(tmp_path: Path) -> None:
    assert key_of(tmp_path) == key_of(tmp_path)
    assert key_of(tmp_path) != key_of(tmp_path / "other")
