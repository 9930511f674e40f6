"""Many workers that ended at once are released together: in few round trips, each for itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobd.broker.bites import BLAME_BITE, RELEASE_CALLS, RELEASE_JOBS
from jobd.broker.commands import Blame
from jobd.broker.connection import Client, connect
from jobd.broker.new_job import NewJob
from jobd.broker.releases import Release, release_all
from jobd.broker.store import Store
from jobd.broker.views import Views
from jobd.core.errors import BrokerUnavailable
from jobd.core.events import Event
from jobd.keeper.fleet import Dead
from jobd.keeper.release import Releaser
from jobd.seams.scoreboard import Owner, Scoreboard

LEASE = 60_000
NOW = 1_800_000_000_000
MANY = 100


@pytest.fixture
def redis(redis_url: str) -> Client:
    return connect(redis_url)


@pytest.fixture
def board(tmp_path: Path) -> Scoreboard:
    owner = Owner("n", os.getpid(), 1, "boot")
    return Scoreboard.create(tmp_path / "b", owner=owner, pages=MANY, cells=2)


@pytest.fixture
def said() -> list[Event]:
    return []


@pytest.fixture
def releaser(redis: Client, said: list[Event]) -> Releaser:
    return Releaser(
        client=redis,
        store=lambda queue: Store(redis, "jobd", queue, now=NOW),
        emit=said.append,
    )


def died(
    redis: Client,
    board: Scoreboard,
    page: int,
    *,
    runs: int = 1,
    holds: int = 2,
    cause: str = "crash",
) -> Dead:
    """A worker that holds some jobs and ended while it ran the first of them."""
    store, name = Store(redis, "jobd", "q", now=NOW), f"w.{page}"
    ids = [f"{name}-{i}" for i in range(holds)]
    store.add([NewJob(i, "t", b"{}") for i in ids])
    store.join(name, LEASE)
    claim = store.claim(name, LEASE, slots=holds, budget_us=10**7, costs=["t", 1])
    assert [job.id.decode() for job in claim.jobs] == ids
    board.pages[page].hand_out(incarnation=name, queue="q", slot="q.1", cells=2)
    for cell in range(runs):
        board.pages[page].start(cell, ids[cell].encode(), claim.number, b"t", 1.0, 2.0)
    return Dead(name, "q", page, str(board.path), cause)


def crashes(redis: Client, job: str) -> int:
    return int(redis.hget(f"jobd:{{q}}:job:{job}", "crashes") or 0)


def reads(redis: Client) -> int:
    return int(redis.info("stats")["total_reads_processed"])


@pytest.mark.parametrize("runs", [1, 2])
def test_many_dead_go_in_few_round_trips(
    redis: Client, board: Scoreboard, releaser: Releaser, runs: int
) -> None:
    """One each to ask for what several held and to charge, and one to give back: for many workers."""
    dead = [died(redis, board, page, runs=runs) for page in range(MANY)]
    redis.config_resetstat()
    before = reads(redis)

    releaser.work(dead, NOW)

    # A round trip takes several reads: it is sent in parts of 6,000 bytes. Two a worker would be 200.
    assert reads(redis) - before <= MANY // 2
    assert redis.info("commandstats")["cmdstat_evalsha"]["calls"] <= 3 * MANY
    assert releaser.released == {each.incarnation for each in dead}
    views = Views(redis, "jobd")
    assert views.counts("q")["waiting"] == 2 * MANY
    assert Store(redis, "jobd", "q").open_leases() == {}
    charged = [crashes(redis, f"w.{page}-{i}") for page in range(MANY) for i in (0, 1)]
    assert charged == ([1, 0] if runs == 1 else [0, 0]) * MANY


def test_one_of_many_that_redis_refuses_holds_up_no_other(
    redis: Client, board: Scoreboard, releaser: Releaser, said: list[Event]
) -> None:
    """Whichever place it has among those that go together; it is told once, and tried again."""
    dead = [died(redis, board, page, runs=2) for page in range(9)]
    for page, key in ((0, "held:w.0"), (4, "held:w.4"), (8, "held:w.8")):
        redis.rename(f"jobd:{{q}}:{key}", f"aside:{page}")
        redis.set(f"jobd:{{q}}:{key}", "no hash")

    for _ in range(2):
        releaser.work(dead, NOW)
    assert releaser.released == {f"w.{i}" for i in (1, 2, 3, 5, 6, 7)}
    refused = [e for e in said if e.event == "release.refused"]
    assert [getattr(e, "incarnation", "") for e in refused] == ["w.0", "w.4", "w.8"]

    for page in (0, 4, 8):
        redis.rename(f"aside:{page}", f"jobd:{{q}}:held:w.{page}")
    releaser.work(dead, NOW)
    assert releaser.released == {each.incarnation for each in dead}
    assert Views(redis, "jobd").counts("q")["waiting"] == 18


def test_scripts_that_were_forgotten_charge_before_they_give_back(
    redis: Client, board: Scoreboard, releaser: Releaser
) -> None:
    """Else a job goes back free, and ends the next process too."""
    dead = [died(redis, board, page) for page in range(9)]
    redis.script_flush()
    before = reads(redis)

    releaser.work(dead, NOW)

    assert reads(redis) - before <= 9, "and in few round trips, too"

    assert [crashes(redis, f"w.{page}-0") for page in range(9)] == [1] * 9


def test_what_goes_together_gives_back_no_more_than_two_bites(
    redis: Client, board: Scoreboard, releaser: Releaser
) -> None:
    """A server serves nobody else meanwhile. Who holds more has its turn again after the others."""
    holds = 2 * RELEASE_JOBS // RELEASE_CALLS + 1
    dead = [died(redis, board, page, holds=holds) for page in range(RELEASE_CALLS)]
    with redis.monitor() as watch:
        releaser.work(dead, NOW)
        redis.echo("that was all")
        went = []
        for said in watch.listen():
            command = str(said["command"])
            if command.startswith("HDEL jobd:{q}:held:"):
                went.append(len(command.split()) - 2)
            if "that was all" in command:
                break

    assert Views(redis, "jobd").counts("q")["waiting"] == holds * RELEASE_CALLS
    charged, given_back = went[:RELEASE_CALLS], went[RELEASE_CALLS:]
    assert charged == [1] * RELEASE_CALLS
    assert max(given_back) == RELEASE_JOBS // RELEASE_CALLS
    assert max(sum(given_back[at : at + RELEASE_CALLS]) for at in range(len(given_back))) <= (
        RELEASE_JOBS
    )


def test_notes_of_many_bytes_go_in_several_round_trips(redis: Client) -> None:
    """A slow link carries each within its time-out; whatever is cut, all is charged, once."""
    store = Store(redis, "jobd", "q", now=NOW)
    releases = []
    for worker in range(8):
        ids = [f"{worker}-{i}" for i in range(BLAME_BITE + 1)]
        store.add([NewJob(i, "t", b"{}") for i in ids])
        store.join(f"w.{worker}", LEASE)
        store.claim(f"w.{worker}", LEASE, slots=len(ids), budget_us=10**7, costs=["t", 1])
        note = b'{"how":"' + b"h" * 5000 + b'"}'
        blamed = [Blame(i, "crashes", note) for i in ids]
        releases.append(Release(store.commands, f"w.{worker}", blamed))

    assert release_all(redis, releases) == [None] * 8
    assert [crashes(redis, blame.id) for each in releases for blame in each.blamed] == [1] * (
        8 * (BLAME_BITE + 1)
    )
    assert store.open_leases() == {}


def test_a_server_that_is_gone_is_no_refusal(redis: Client, board: Scoreboard) -> None:
    """It is raised, so that it is tried again with patience, and no worker is told of as refused."""
    dead = [died(redis, board, page) for page in range(3)]
    said: list[Event] = []
    nobody = connect("redis://127.0.0.1:1/0")
    releaser = Releaser(
        client=nobody, store=lambda queue: Store(nobody, "jobd", queue), emit=said.append
    )

    with pytest.raises(BrokerUnavailable):
        releaser.work(dead, NOW)
    assert (releaser.released, said) == (set(), [])
