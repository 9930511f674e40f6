"""What is done to all that a filter finds: watched, stopped, and only to what was there when it began."""

from __future__ import annotations

from typing import Any

import pytest

from jobd.broker.commands import Ending
from jobd.broker.connection import Client
from jobd.broker.finding import Wanted
from jobd.broker.new_job import NewJob
from jobd.broker.store import Store, store_ms
from jobd.broker.views import Views
from jobd.client.operate import VERBS
from jobd.client.operate_many import AS_OF_WITHIN_MS, Order, Progress, Sweep, as_of_now
from jobd.core.errors import OptionError
from jobd.core.states import CANCELLED, DEAD, DELAYED, WAITING

NOW = 1_800_000_000_000
LEASE = 30_000


def store(client: Client, at: int = NOW) -> Store:
    return Store(client, "t", "q", now=at)


def counts(client: Client) -> dict[str, int]:
    return {state: n for state, n in Views(client, "t").counts("q").items() if n}


def sweep(client: Client, verb: str, *states: str, at: int = NOW, **more: Any) -> Sweep:
    order = Order(verb=verb, queues=("q",), states=states or VERBS[verb], **more)
    return Sweep(client, "t", order, now=at)


def kill(client: Client, *ids: str, at: int = NOW) -> None:
    """Have what waits under these ids die."""
    s = store(client, at)
    s.join("w.1", LEASE)
    while (claim := s.claim("w.1", LEASE, budget_us=10**9, costs=["t", 1])).jobs:
        assert {job.id.decode() for job in claim.jobs} <= set(ids)
        ends = [Ending("dead", j.id, claim.number, "t|0|0|0", 0, "failed") for j in claim.jobs]
        assert s.settle("w.1", LEASE, endings=ends) == []


def dead(client: Client, number: int) -> list[str]:
    ids = [f"d{n:04}" for n in range(number)]
    for at in range(0, number, 250):
        store(client).add([NewJob(i, "t", b"{}") for i in ids[at : at + 250]])
    kill(client, *ids)
    return ids


def test_each_step_is_told_and_the_sum_is_true(client: Client) -> None:
    """Of more than some pages, all with one score."""
    dead(client, 950)
    told = list[tuple[int, int]]()

    done = sweep(client, "retry", DEAD).run(lambda p: told.append((p.looked, p.done)))

    assert told == [(200, 200), (400, 400), (600, 600), (800, 800), (950, 950), (950, 950)]
    assert done == Progress(
        verb="retry", total=950, looked=950, done=950, counts={"retried": 950}, finished=True
    )
    assert counts(client) == {WAITING: 950}


def test_it_can_be_stopped_between_two_steps(client: Client) -> None:
    """What was told until then is done, and no more."""
    dead(client, 500)

    done = sweep(client, "delete", DEAD).run(lambda _: None, stop=lambda: True)

    assert (done.stopped, done.finished, done.done) == (True, False, 200)
    assert counts(client) == {DEAD: 300}


def test_what_dies_again_meanwhile_is_left_alone(client: Client) -> None:
    """Also where it dies in the very order in which they are gone through."""
    ids = dead(client, 450)
    steps = sweep(client, "retry", DEAD, at=NOW + 5).steps()
    words = []
    for n, step in enumerate(steps):
        words += [outcome.word for outcome in step.outcomes]
        kill(client, *ids, at=NOW + 6 + n)

    assert words == ["retried"] * 450
    assert counts(client) == {DEAD: 450}


def test_what_is_added_meanwhile_is_left_alone(client: Client) -> None:
    """Before and behind the place where it just is; and it comes to an end."""
    s = store(client)
    s.add([NewJob(f"a{n:03}", "t", b"{}") for n in range(250)])
    s.add([NewJob(f"b{n:03}", "t", b"{}", priority=9) for n in range(250)])
    later = store(client, NOW + 1)
    seen = 0
    for n, step in enumerate(sweep(client, "cancel", WAITING).steps()):
        seen += len(step.outcomes)
        later.add([NewJob(f"{p}{n}", "t", b"{}", priority=p) for p in (-1, 5, 7, 9)])
        # Faster than anybody could go through them.
        later.add([NewJob(f"10{n}x{i}", "t", b"{}", priority=10) for i in range(210)])
        assert n < 10

    assert seen == 500
    left = Views(client, "t").jobs("q", WAITING, 10_000)
    assert counts(client) == {"cancelled": 500, WAITING: len(left)}
    assert {i.partition("x")[0][:-1] for i in left} == {"-1", "5", "7", "9", "10"}


def test_what_was_counted_is_what_it_is_done_to(client: Client) -> None:
    """With the instant of the count: what was added, began or ended since then is left alone."""
    dead(client, 5)
    store(client).add([NewJob(f"a{n}", "t", b"{}") for n in range(3)])
    later = store(client, NOW + 10)
    later.add([NewJob(f"b{n}", "late", b"{}") for n in range(4)])
    later.join("w.2", LEASE)
    later.claim("w.2", LEASE, limit=2, budget_us=10**9, costs=["t", 1])
    later.add([NewJob("c", "late", b"{}", priority=0)])
    store(client, NOW + 11).claim("w.2", LEASE, limit=1, budget_us=10**9, costs=["late", 1])
    kill(client, "a2", "b0", "b1", "b2", "b3", at=NOW + 20)
    order = {"at": NOW + 30, "as_of": NOW + 5}

    assert sweep(client, "delete", DEAD, **order).run(lambda _: None).counts == {"deleted": 5}
    assert sweep(client, "cancel", **order).run(lambda _: None).counts == {"asked": 2}
    assert counts(client) == {DEAD: 5, "active": 3}


def test_an_instant_that_is_to_come_or_long_ago_is_refused(client: Client) -> None:
    """Nobody has counted then, or nobody knows any more what."""
    now = store_ms(client)
    for asked, words in ((now + 60_000, "ahead"), (now - AS_OF_WITHIN_MS - 1, "1h ago")):
        with pytest.raises(OptionError, match=f"{words} by Redis' clock"):
            as_of_now(client, asked)
    assert as_of_now(client, now) == now
    assert as_of_now(client, None) >= now


def test_what_ends_meanwhile_where_it_has_not_been_yet_is_left_alone(client: Client) -> None:
    """In another state or queue, which is gone through later: what is meant was there at the beginning."""
    dead(client, 250)
    later = store(client, NOW + 6)
    words = []
    for n, step in enumerate(sweep(client, "retry", DEAD, CANCELLED, at=NOW + 5).steps()):
        words += [outcome.word for outcome in step.outcomes]
        later.add([NewJob(f"late{n}", "t", b"{}")])
        later.cancel([f"late{n}"])

    assert words == ["retried"] * 250
    assert counts(client)[CANCELLED] == n + 1


def test_what_becomes_due_meanwhile_is_cancelled_all_the_same(client: Client) -> None:
    """It is met where it goes."""
    store(client).add([NewJob(f"a{n}", "t", b"{}", due="+100") for n in range(5)])
    steps = sweep(client, "cancel", DELAYED, WAITING).steps()
    store(client, NOW + 100).promote()

    assert [o.word for step in steps for o in step.outcomes] == ["cancelled"] * 5


def test_jobs_are_rescheduled_once_each(client: Client) -> None:
    """Though each is met again where it was put."""
    s = store(client)
    s.add([NewJob(f"a{n:03}", "t", b"{}", due=f"+{1000 + n}") for n in range(240)])
    s.add([NewJob("far", "t", b"{}", due="+90000000")])

    done = sweep(client, "reschedule", DELAYED, due="+500000").run(lambda _: None)

    assert done.counts == {"delayed": 241}
    assert {Views(client, "t").info("q", i).due_at for i in ("a000", "a239", "far")} == {  # type: ignore[union-attr]
        NOW + 500_000
    }


def test_only_what_is_wanted_is_purged_and_a_dry_run_does_nothing(client: Client) -> None:
    """The state it stands in is said."""
    store(client).add([NewJob("a", "t", b"{}"), NewJob("b", "other", b"{}")])
    wanted = Wanted(task="other")

    dry = sweep(client, "purge", WAITING, wanted=wanted, dry_run=True).run(lambda _: None)
    assert (dry.counts, dry.done, counts(client)) == ({WAITING: 1}, 1, {WAITING: 2})
    done = sweep(client, "purge", WAITING, wanted=wanted).run(lambda _: None)
    assert (done.counts, done.looked, counts(client)) == ({"purged": 1}, 2, {WAITING: 1})


def test_jobs_that_run_are_told_once_though_they_are_met_twice(client: Client) -> None:
    """One that goes from worker to worker meanwhile."""
    s = store(client)
    s.add([NewJob(f"a{n}", "t", b"{}") for n in range(3)])
    s.join("w.1", LEASE)
    s.claim("w.1", LEASE, limit=3, budget_us=10**9, costs=["t", 1])

    assert sweep(client, "cancel", "active").run(lambda _: None).counts == {"asked": 3}
    assert len(s.heed()) == 3


@pytest.mark.parametrize(
    ("verb", "states", "queues", "named"),
    [
        ("eat", (), ("q",), "verb: 'eat'"),
        ("retry", ("active",), ("q",), "retry: state 'active'"),
        ("purge", ("active",), ("q",), "purge: state 'active'"),
        ("retry", (DEAD,), ("a b",), "queue: 'a b'"),
    ],
)
def test_an_order_that_makes_no_sense_is_none(
    verb: str, states: tuple[str, ...], queues: tuple[str, ...], named: str
) -> None:
    """It is refused before anything is done."""
    with pytest.raises(OptionError, match=named):
        Order(verb=verb, queues=queues, states=states)
