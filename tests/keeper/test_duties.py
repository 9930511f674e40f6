"""The keeper's duties on a real server, one call at a time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobd.broker.commands import Completed
from jobd.broker.connection import Client, connect
from jobd.broker.new_job import NewJob
from jobd.broker.store import Store
from jobd.broker.views import Views
from jobd.core.events import Event
from jobd.keeper.charges import Boards
from jobd.keeper.fleet import Alive, Dead
from jobd.keeper.heed import heed
from jobd.keeper.reap import Reaper
from jobd.keeper.release import Releaser, release
from jobd.keeper.renew import Renewer
from jobd.keeper.revoke import Revoker
from jobd.seams.clock import monotonic
from jobd.seams.scoreboard import Owner, Scoreboard
from jobd.seams.scoreboard_views import Phase, mark_of

LEASE = 6_000
NOW = 1_800_000_000_000
FAST = ["t", 10]
FIGURES = "t|0|0|0"


@pytest.fixture
def redis(redis_url: str) -> Client:
    return connect(redis_url)


@pytest.fixture
def board(tmp_path: Path) -> Scoreboard:
    return Scoreboard.create(
        tmp_path / "b", owner=Owner("n", os.getpid(), 1, "boot"), pages=3, cells=2
    )


def claimed(redis: Client, *ids: str, worker: str = "w.1") -> int:
    store = Store(redis, "jobd", "q", now=NOW)
    store.add([NewJob(i, "t", b"{}") for i in ids])
    store.join(worker, LEASE)
    return store.claim(worker, LEASE, budget_us=50_000, costs=FAST).number


def release_one(redis: Client, dead: Dead) -> None:
    def store(queue: str) -> Store:
        return Store(redis, "jobd", queue)

    assert release([dead], client=redis, store=store, boards=Boards(), now_ms=NOW) == {}


@pytest.mark.parametrize(
    ("cause", "charged", "running", "neighbour"),
    [
        ("crash", [], "crashes", 0), ("stopped", [], "interrupted", 0), ("lost", [], "lost", 0),
        ("timeout", ["a"], "timeouts", 0), ("cancelled", ["a"], "interrupted", 0), ("fenced", [], "lost", 0),
    ],
)  # fmt: skip
def test_a_death_charges_what_ran_by_its_cause(
    redis: Client, board: Scoreboard, cause: str, charged: list[str], running: str, neighbour: int
) -> None:
    """The scoreboard says what ran; what was only claimed goes back free."""
    number = claimed(redis, "a", "b")
    page = board.pages[1]
    page.hand_out(incarnation="w.1", queue="q", slot="q.1")
    page.start(0, b"a", number, b"t", 1.0, 2.0)

    dead = Dead("w.1", "q", 1, str(board.path), cause, charged)
    for _ in range(2):
        release_one(redis, dead)

    views = Views(redis, "jobd")
    a, b = views.info("q", "a"), views.info("q", "b")
    assert a is not None
    assert b is not None
    assert (1, neighbour) == (getattr(a, running), getattr(b, running))
    assert views.jobs("q", "waiting") == ["a", "b"]


@pytest.mark.parametrize(
    ("cause", "same_claim", "crashes"),
    [("crash", True, 1), ("oom", True, 1), ("stopped", True, 0), ("crash", False, 0)],
)
def test_who_had_just_run_is_accused_where_nobody_runs(
    redis: Client, board: Scoreboard, cause: str, same_claim: bool, crashes: int
) -> None:
    """A run that ends its process a moment after it has ended would do so for ever if that were free;
    one that was settled, and is held again by another claim, had no part in it."""
    number = claimed(redis, "a", "b")
    page = board.pages[1]
    page.hand_out(incarnation="w.1", queue="q", slot="q.1")
    page.start(0, b"a", number if same_claim else number - 1, b"t", 1.0, 2.0)
    page.finish(0)

    dead = Dead("w.1", "q", 1, str(board.path), cause)
    for _ in range(2):
        release_one(redis, dead)

    views = Views(redis, "jobd")
    infos = [views.info("q", name) for name in ("a", "b")]
    assert [info.crashes for info in infos if info is not None] == [crashes, 0]
    assert views.jobs("q", "waiting") == ["a", "b"]


@pytest.mark.parametrize("turns", [True, False])
def test_who_had_run_is_not_accused_of_a_loop_that_turned_and_heard_nothing(
    redis: Client, board: Scoreboard, turns: bool
) -> None:
    """Redis had no answer for it: that is no run's doing, and only what stands still may be. It is
    counted all the same, so that it is seen where it goes on and on."""
    number = claimed(redis, "a")
    page = board.pages[1]
    page.hand_out(incarnation="w.1", queue="q", slot="q.1")
    page.start(0, b"a", number, b"t", 1.0, 2.0)
    page.finish(0)
    page.beat(monotonic() - (1.0 if turns else 9.0))

    dead = Dead("w.1", "q", 1, str(board.path), "hung")
    for _ in range(2):
        release_one(redis, dead)

    info = Views(redis, "jobd").info("q", "a")
    assert info is not None
    assert (info.crashes, info.interrupted) == ((0, 1) if turns else (1, 0))


def test_one_that_cannot_be_released_holds_up_no_other(redis: Client, tmp_path: Path) -> None:
    """Redis refuses the first, whose queue's keys are of a wrong type; it is said once, tried again."""
    claimed(redis, "a")
    redis.set("jobd:{bad}:leases", "no sorted set")
    said: list[Event] = []
    board = str(tmp_path / "gone")
    releaser = Releaser(
        client=redis, store=lambda queue: Store(redis, "jobd", queue, now=NOW), emit=said.append
    )
    dead = [
        Dead("w.0", "bad", 0, board, "crash"),
        Dead("w.1", "q", 1, board, "crash"),
    ]

    for _ in range(3):
        releaser.work(dead, NOW)
    assert releaser.released == {"w.1"}
    assert [event.event for event in said] == ["release.refused", "worker.released"]

    redis.delete("jobd:{bad}:leases")
    releaser.work(dead, NOW)
    assert releaser.released == {"w.0", "w.1"}


def test_a_page_of_another_incarnation_accuses_nobody(redis: Client, board: Scoreboard) -> None:
    """A page that was handed on says nothing about its last owner."""
    claimed(redis, "a")
    board.pages[1].hand_out(incarnation="w.2", queue="q", slot="q.1")
    board.pages[1].start(0, b"a", 1, b"t", 1.0, 2.0)

    dead = Dead("w.1", "q", 1, str(board.path), "crash")
    release_one(redis, dead)

    info = Views(redis, "jobd").info("q", "a")
    assert info is not None
    assert info.crashes == 0


def test_a_lease_is_reaped_at_the_second_look_and_not_sooner(redis: Client) -> None:
    """Twice the same score, a renew period apart; then within 1.25 leases of the last renewal."""
    claimed(redis, "a")
    at = [NOW]

    def look(ours: set[str] = frozenset()) -> tuple[list[str], float]:  # type: ignore[assignment]
        reaper_store.commands.now = at[0]
        return reaper.look(ours=ours, store_now=at[0], clock=lambda: at[0] / 1000)

    reaper_store = Store(redis, "jobd", "q", now=NOW)
    reaper = Reaper(reaper_store, lease=6.0, period=1.0)
    reaped: list[str] = []
    while not reaped:
        reaped, again = look()
        waited = at[0] - NOW
        at[0] += max(1, round(again * 1000))
    assert reaped == ["w.1"]
    assert LEASE + 1000 <= waited <= 1.25 * LEASE


def test_our_own_and_the_revived_are_left_alone(redis: Client) -> None:
    """The supervisor answers for this host; a renewed lease is another score."""
    claimed(redis, "a")
    store = Store(redis, "jobd", "q", now=NOW + LEASE + 1)
    reaper = Reaper(store, lease=6.0, period=1.0)
    late = NOW + LEASE + 1
    assert reaper.look(ours={"w.1"}, store_now=late, clock=lambda: 0.0)[0] == []
    assert reaper.look(ours={"w.1"}, store_now=late, clock=lambda: 50.0)[0] == []

    assert reaper.look(ours=set(), store_now=late, clock=lambda: 51.0)[0] == []
    store.renew(LEASE, ["w.1"])
    assert reaper.look(ours=set(), store_now=late, clock=lambda: 60.0)[0] == []
    assert "w.1" in store.open_leases()


def test_a_look_is_as_old_as_its_answer_not_as_its_question(redis: Client) -> None:
    """A server that stood still in between answers late: its owners have their period all the same."""
    claimed(redis, "a")
    late = NOW + LEASE + 1
    reaper = Reaper(Store(redis, "jobd", "q", now=late), lease=6.0, period=1.0)
    redis.config_resetstat()
    answered: list[int] = []

    def clock() -> float:
        answered.append(redis.info("commandstats")["cmdstat_zrange"]["calls"])
        return 0.0

    assert reaper.look(ours=set(), store_now=late, clock=clock)[0] == []
    assert answered == [1]


def test_a_broken_connection_makes_the_reaper_begin_anew(redis: Client) -> None:
    """After an outage every owner gets its chance to renew."""
    claimed(redis, "a")
    late = NOW + LEASE + 1
    reaper = Reaper(Store(redis, "jobd", "q", now=late), lease=6.0, period=1.0)
    reaper.look(ours=set(), store_now=late, clock=lambda: 0.0)
    reaper.forget()

    assert reaper.look(ours=set(), store_now=late, clock=lambda: 5.0)[0] == []
    assert reaper.look(ours=set(), store_now=late, clock=lambda: 6.0)[0] == ["w.1"]


def test_only_joined_workers_are_renewed_and_what_was_closed_since_is_named(
    redis: Client, board: Scoreboard
) -> None:
    """A worker that boots has no lease to miss."""
    for index, phase in ((0, Phase.IDLE), (1, Phase.BOOTING), (2, Phase.BUSY)):
        board.pages[index].hand_out(incarnation=f"w.{index}", queue="q", slot="q.1")
        board.pages[index].set_phase(phase)
    store = Store(redis, "jobd", "q")
    store.join("w.0", 10)
    store.join("w.2", 10)
    alive = [Alive(f"w.{i}", "q", i) for i in range(3)]
    renewer = Renewer(client=redis, namespace="jobd", lease=30.0, alive=lambda: alive, board=board)

    for _ in range(2):
        renewer.once()
    assert set() == renewer.fenced
    store.release("w.2")
    renewer.once()
    assert {"w.2"} == renewer.fenced
    redis.flushall()
    renewer.once()
    assert set() == renewer.fenced


def test_jobs_behind_a_running_one_are_taken_back_once(redis: Client, board: Scoreboard) -> None:
    """The running job stays, what comes after it in line goes, what came before is left alone."""
    number = claimed(redis, "a", "b", "c", "d")
    page = board.pages[0]
    page.hand_out(incarnation="w.1", queue="q", slot="q.1")
    page.set_claimed(4)
    page.start(0, b"b", number, b"t", 100.0, 0.0)
    revoker = Revoker(page, Store(redis, "jobd", "q"), "w.1")

    assert [revoker.look(now) for now in (100.1, 100.5, 100.6, 100.7)] == [0, 0, 2, 0]
    assert number == board.views()[0].revoked
    assert Views(redis, "jobd").jobs("q", "waiting") == ["c", "d"]

    later = claimed(redis, "e")
    assert [revoker.look(now) for now in (100.8, 100.9, 101.0)] == [0, 3, 0]
    assert later == board.views()[0].revoked
    assert Views(redis, "jobd").jobs("q", "waiting") == ["c", "d", "e"]


@pytest.mark.parametrize("force", [False, True])
def test_an_order_marks_the_very_run_on_the_page_of_its_worker(
    redis: Client, board: Scoreboard, force: bool
) -> None:
    """Not its neighbour, and nothing on another host's board; only by force is it condemned."""
    number = claimed(redis, "a", "b")
    page = board.pages[2]
    page.hand_out(incarnation="w.1", queue="q", slot="q.1")
    page.start(0, b"b", number, b"t", 1.0, 0.0)
    store = Store(redis, "jobd", "q")
    assert store.cancel(["a"], force=force) == ["asked"]
    assert heed([Alive("w.1", "q", 2)], board=board, store=lambda _: store) == 0
    assert not page.is_cancelled(0, mark_of("b", number))

    assert store.cancel(["b"], force=force) == ["asked"]
    assert heed([Alive("w.9", "q", 2)], board=board, store=lambda _: store) == 0
    assert heed([Alive("w.1", "q", 2)], board=board, store=lambda _: store) == 1

    view = page.view()
    assert view is not None
    assert (page.is_cancelled(0, mark_of("b", number)), view.cells[0].condemned) == (True, force)
    page.start(0, b"b", number + 1, b"t", 1.0, 0.0)  # the same job's next run
    view = page.view()
    assert view is not None
    assert (page.is_cancelled(0, mark_of("b", number + 1)), view.cells[0].condemned) == (
        False,
        False,
    )


def test_of_several_that_ran_at_a_crash_each_is_suspected_and_none_charged(
    redis: Client, board: Scoreboard
) -> None:
    """Nobody knows which of them did it; how many there were is in the history."""
    number = claimed(redis, "a", "b", "c")
    page = board.pages[1]
    page.hand_out(incarnation="w.1", queue="q", slot="q.1", cells=2)
    page.start(0, b"a", number, b"t", 1.0, 2.0)
    page.start(1, b"b", number, b"t", 1.0, 2.0)

    dead = Dead("w.1", "q", 1, str(board.path), "crash", ["a", "b"])
    release_one(redis, dead)

    views = Views(redis, "jobd")
    for job in ("a", "b"):
        info = views.info("q", job)
        assert info is not None
        assert (info.crashes, info.history[-1]["kind"], info.history[-1]["among"]) == (
            0, "crash", 2,
        )  # fmt: skip
    assert redis.hget("jobd:{q}:job:a", "suspected") == b"1"
    assert redis.hget("jobd:{q}:job:c", "suspected") is None


def test_neighbours_of_a_timeout_were_interrupted(redis: Client, board: Scoreboard) -> None:
    """It costs them nothing, and their history says it."""
    number = claimed(redis, "a", "b")
    page = board.pages[1]
    page.hand_out(incarnation="w.1", queue="q", slot="q.1", cells=2)
    page.start(0, b"a", number, b"t", 1.0, 2.0)
    page.start(1, b"b", number, b"t", 1.0, 0.0)

    dead = Dead("w.1", "q", 1, str(board.path), "timeout", ["a"])
    release_one(redis, dead)

    views = Views(redis, "jobd")
    a, b = views.info("q", "a"), views.info("q", "b")
    assert a is not None
    assert b is not None
    assert (a.timeouts, a.interrupted, a.history[-1]["kind"]) == (1, 0, "timeout")
    assert (b.timeouts, b.interrupted, b.history[-1]["kind"]) == (0, 1, "interrupted")


def test_what_several_lanes_have_started_is_not_taken_back(
    redis: Client, board: Scoreboard
) -> None:
    """Also what has ended and waits to be settled: only what no lane has begun goes elsewhere."""
    number = claimed(redis, "a", "b", "c", "d", "e")
    page = board.pages[0]
    page.hand_out(incarnation="w.1", queue="q", slot="q.1", cells=3)
    page.set_claimed(5)
    page.start(0, b"a", number, b"t", 100.0, 0.0)
    for job in (b"b", b"c"):  # two short ones in the second lane; the third has never been used
        page.start(1, job, number, b"t", 100.0, 0.0)
        page.finish(1)
    revoker = Revoker(page, Store(redis, "jobd", "q"), "w.1")

    page.beat(100.3)
    assert [revoker.look(now) for now in (100.5, 100.61)] == [0, 0]  # its loop turned at 100.3
    page.finish(0)
    assert [revoker.look(now) for now in (100.7, 100.8)] == [
        0,
        0,
    ]  # nothing runs: it answers itself
    page.start(0, b"d", number, b"t", 100.5, 0.0)
    assert [revoker.look(now) for now in (100.9, 101.0)] == [0, 1]
    assert Views(redis, "jobd").jobs("q", "waiting") == ["e"]


def test_what_a_lane_has_ended_behind_a_running_job_is_not_taken_back(
    redis: Client, board: Scoreboard
) -> None:
    """It waits for its settlement: to run it elsewhere would be to run it twice."""
    number = claimed(redis, "a", "b", "c", "d")
    page = board.pages[0]
    page.hand_out(incarnation="w.1", queue="q", slot="q.1", cells=2)
    page.set_claimed(4)
    page.start(0, b"a", number, b"t", 100.0, 0.0)
    for job in (b"b", b"c"):
        page.start(1, job, number, b"t", 100.0, 0.0)
        page.finish(1)
    revoker = Revoker(page, Store(redis, "jobd", "q"), "w.1")

    assert [revoker.look(now) for now in (100.5, 100.6, 100.7)] == [0, 1, 0]
    assert Views(redis, "jobd").jobs("q", "waiting") == ["d"]


@pytest.mark.parametrize(
    ("cause", "settled", "crashes"),
    [("crash", False, 1), ("hung", False, 1), ("stopped", False, 0), ("crash", True, 0)],
)
def test_a_death_between_two_jobs_charges_the_last_one_that_is_not_recorded(
    redis: Client, board: Scoreboard, cause: str, settled: bool, crashes: int
) -> None:
    """Its heap was broken by it, or it left no file to open. Uncharged it would do that for ever."""
    store = Store(redis, "jobd", "q")
    number = claimed(redis, "a", "b")
    page = board.pages[1]
    page.hand_out(incarnation="w.1", queue="q", slot="q.1")
    page.start(0, b"a", number, b"t", 1.0, 2.0)
    page.finish(0)
    if settled:
        store.settle("w.1", LEASE, completed=[Completed(b"a", number, FIGURES, b"")])

    dead = Dead("w.1", "q", 1, str(board.path), cause)
    release_one(redis, dead)

    views = Views(redis, "jobd")
    a, b = views.info("q", "a"), views.info("q", "b")
    assert a is not None
    assert b is not None
    assert (crashes, 0) == (a.crashes, b.crashes)
    assert views.jobs("q", "waiting") == (["b"] if settled else ["a", "b"])


def test_who_was_settled_is_not_counted_among_those_who_may_have_done_it(
    redis: Client, board: Scoreboard
) -> None:
    """Else one that ran alone would be one of several for ever, and never charged."""
    store = Store(redis, "jobd", "q")
    number = claimed(redis, "a", "b")
    page = board.pages[1]
    page.hand_out(incarnation="w.1", queue="q", slot="q.1", cells=2)
    for cell, job in enumerate((b"a", b"b")):
        page.start(cell, job, number, b"t", 1.0, 2.0)
        page.finish(cell)
    store.settle("w.1", LEASE, completed=[Completed(b"b", number, FIGURES, b"")])

    dead = Dead("w.1", "q", 1, str(board.path), "crash")
    release_one(redis, dead)

    a = Views(redis, "jobd").info("q", "a")
    assert a is not None
    assert a.crashes == 1
