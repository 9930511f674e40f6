"""The last hour of workers' memory: a number a minute, bounded, over a restart of the keeper."""

from __future__ import annotations

import os
from pathlib import Path

from jobd.broker.connection import Client
from jobd.broker.hosts import hosts
from jobd.core.portrait import Daemon, Worker
from jobd.keeper.hosts import EVERY, Speaker
from jobd.keeper.past import MINUTE, MOST, MOST_IN_ALL, Past
from jobd.seams import host, statefile
from jobd.seams.scoreboard import Owner, Scoreboard
from jobd.seams.statefile import SlotState, State

MIB = 1 << 20


def daemon_of(*memory: int | None) -> Daemon:
    workers = [
        Worker(
            slot=f"q.{n}", queue="q", phase="busy", pid=n, incarnation=f"n.{n}", restarts=0,
            last_exit=None, memory=each,
        )
        for n, each in enumerate(memory)
    ]  # fmt: skip
    return Daemon(
        running=True, stopping=False, pid=7, started_at=1.0, up_for=2.0, generation=1, last_error=None,
        helpers={}, workers=workers,
    )  # fmt: skip


def told(past: Past, daemon: Daemon) -> list[list[int]]:
    return [worker.memory_past for worker in past.told(daemon).workers]


def test_a_minute_is_one_number_the_most_of_it() -> None:
    past = Past()
    for at, memory in ((0, 5), (5, 9), (10, 7), (60, 2), (119, 3), (125, None), (130, 1)):
        past.note(daemon_of(None if memory is None else memory * MIB), float(at))

    assert told(past, daemon_of(0)) == [[9 * 1024, 3 * 1024, 1024]]


def test_an_hour_is_kept_and_who_is_gone_is_forgotten() -> None:
    past = Past()
    for minute in range(100):
        past.note(daemon_of(minute << 10, 1 << 10), minute * MINUTE)
    assert told(past, daemon_of(0, 0)) == [list(range(40, 100)), [1] * MOST]

    past.note(daemon_of(5 << 10), 100 * MINUTE)
    assert told(past, daemon_of(0, 0))[1] == []


def test_of_many_workers_each_has_less() -> None:
    past = Past()
    many = daemon_of(*[MIB] * 256)
    for minute in range(MOST):
        past.note(many, minute * MINUTE)

    assert {len(each) for each in told(past, many)} == {MOST_IN_ALL // 256}


def write(directory: Path, **memory: int) -> None:
    slots = [
        SlotState(slot=slot, phase="running", incarnation=slot, pid=1, memory=each)
        for slot, each in memory.items()
    ]
    statefile.write(
        directory,
        State(
            pid=os.getpid(), started_at=1.0, nonce="n", scoreboard="board", queues={"q": slots}, helpers={},
        ),
    )  # fmt: skip


def test_the_next_keeper_goes_on_from_the_last_word(client: Client, tmp_path: Path) -> None:
    """And so does whoever serves pages: it is in the word."""
    pid = os.getpid()
    owner = Owner("n", pid, host.start_ticks(pid), host.boot_id())
    Scoreboard.create(tmp_path / "board", owner=owner, pages=2)
    first = Speaker(client, "t", tmp_path)
    for minute in range(3):
        write(tmp_path, a=minute * MIB, b=MIB)
        first.work(1000.0 + minute * MINUTE)

    write(tmp_path, a=9 * MIB, c=MIB)
    second = Speaker(client, "t", tmp_path)
    second.work(5000.0)
    second.work(5000.0 + EVERY)
    second.work(5000.0 + MINUTE)

    [said] = hosts(client, "t")
    assert said.daemon is not None
    assert {worker.slot: worker.memory_past for worker in said.daemon.workers} == {
        "a": [0, 1024, 9 * 1024, 9 * 1024], "c": [1024, 1024],
    }  # fmt: skip
