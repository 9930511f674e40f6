"""Retention on a real server: by age and by number, for each outcome, and never what may still run."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import pytest
from support.policies import NOTHING, keeping

from jobd.broker.commands import Completed, Ending
from jobd.broker.connection import Client, connect
from jobd.broker.new_job import JobOnTerms, NewJob, Terms
from jobd.broker.store import Store
from jobd.broker.views import Views
from jobd.core.retention import OUTCOMES

LEASE = 30_000
NOW = 1_800_000_000_000
HOUR = 3_600_000
FIGURES = "noop|0|0|0"
FAST = ["noop", 10]


def store(client: Client, now: int = NOW) -> Store:
    return Store(client, "t", "q", now=now)


def ended(
    client: Client, outcome: str, *ids: str, now: int = NOW, own_ms: int = 0, keep: int = 10**6
) -> None:
    """Let jobs come to that end at that time, with a retention of their own or without."""
    s = store(client, now)
    s.add([NewJob(i, "noop", b"{}") for i in ids])
    if outcome == "cancelled":
        s.cancel(ids)
        return
    s.join("w.1", LEASE)
    claim = s.claim("w.1", LEASE, budget_us=50_000, costs=FAST)
    assert {job.id.decode() for job in claim.jobs} == set(ids)
    verb = "done" if outcome == "completed" else "dead"
    if outcome == "completed" and not own_ms:
        done = [Completed(job.id, claim.number, FIGURES, b"1") for job in claim.jobs]
        s.settle("w.1", LEASE, keep=keep, completed=done)
    else:
        ends = [Ending(verb, job.id, claim.number, FIGURES, own_ms, "failed") for job in claim.jobs]
        s.settle("w.1", LEASE, keep=keep, endings=ends)


def left(client: Client, outcome: str) -> list[str]:
    return sorted(Views(client, "t").jobs("q", outcome, 10_000))


def records(client: Client) -> set[str]:
    return {key.decode().removeprefix("t:{q}:job:") for key in client.keys("t:{q}:job:*")}


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_each_outcome_has_an_age(client: Client, outcome: str) -> None:
    """To the millisecond, by Redis' clock; the others' ages do not concern it."""
    ended(client, outcome, "a")
    week: dict[str, object] = {"age": "7d"}
    rules = keeping(**{**dict.fromkeys(OUTCOMES, week), outcome: {"age": "1h"}})

    assert store(client, NOW + HOUR - 1).trim(rules)[:2] == (0, False)
    assert store(client, NOW + HOUR).trim(rules)[:2] == (1, False)
    assert records(client) == set()


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_each_outcome_has_a_number(client: Client, outcome: str) -> None:
    """What ended first goes first."""
    for step, job in enumerate("abcde"):
        ended(client, outcome, job, now=NOW + step)
    rules = keeping(**{outcome: {"count": 2}})

    assert store(client, NOW + 9).trim(rules).removed == 3
    assert left(client, outcome) == ["d", "e"]
    assert records(client) == {"d", "e"}


def test_dead_and_cancelled_jobs_are_kept_in_any_number_by_default(client: Client) -> None:
    """Somebody may want them back: only their age removes them."""
    policy = keeping()
    assert (policy.completed_count, policy.dead_count, policy.cancelled_count) == (10_000, -1, -1)
    ended(client, "cancelled", *map(str, range(300)))

    assert store(client).trim(policy, limit=1000).removed == 0


def test_a_bite_is_a_bite_and_says_whether_there_is_more(client: Client) -> None:
    """However much of whatever kind there is to remove."""
    ended(client, "completed", *"abcd")
    ended(client, "completed", *"ef", own_ms=5)
    ended(client, "dead", *"gh")
    ended(client, "cancelled", *"ij")

    later = store(client, NOW + 9)
    bites = [later.trim(NOTHING, limit=3)[:2] for _ in range(4)]
    assert bites == [(3, True), (3, True), (3, True), (1, False)]
    assert records(client) == set()
    assert not client.exists("t:{q}:expiring")


def test_a_trim_is_trimmed_by_what_the_workers_said(client: Client) -> None:
    """A retention in code is known to nobody else: the keeper's own word counts without it only."""
    ended(client, "completed", "a")
    ended(client, "dead", "b")
    store(client).join("w.2", LEASE, keeping(completed={"age": "1h"}, dead={"count": 0}))

    day = keeping(completed={"age": "24h"})
    assert store(client, NOW + HOUR - 1).trim(day).removed == 1
    assert records(client) == {"a"}
    assert store(client, NOW + HOUR).trim(day).removed == 1


def test_what_a_queue_said_that_cannot_be_read_is_not_said(client: Client) -> None:
    """A stranger's word in meta."""
    ended(client, "completed", "a")
    client.hset("t:{q}:meta", mapping={"completed_ms": "soon", "trimming": "x", "looked|dead": "y"})

    assert store(client, NOW + 1).trim(NOTHING).removed == 1


def test_while_one_keeper_has_more_to_do_another_waits_a_second(client: Client) -> None:
    """Many hosts press no harder than one; and when that one is gone, another goes on."""
    ended(client, "completed", *"abcdef")

    assert store(client, NOW + 1).trim(NOTHING, keeper="one", limit=2)[:2] == (2, True)
    assert store(client, NOW + 1000).trim(NOTHING, keeper="two", limit=2)[:2] == (0, False)
    assert store(client, NOW + 1000).trim(NOTHING, keeper="one", limit=2)[:2] == (2, True)
    assert store(client, NOW + 2000).trim(NOTHING, keeper="two", limit=2)[:2] == (2, True)
    assert store(client, NOW + 2000).trim(NOTHING, keeper="two", limit=2)[:2] == (0, False)
    assert store(client, NOW + 2001).trim(NOTHING, keeper="one", limit=2)[:2] == (0, False)
    assert not client.hexists("t:{q}:meta", "trimming")


def test_a_clock_that_was_set_back_gives_nobody_the_turn_for_ever(client: Client) -> None:
    """A turn lasts a second; one that seems to last longer was taken by another clock."""
    ended(client, "completed", *"abc")
    store(client, NOW + HOUR).trim(NOTHING, keeper="one", limit=1)

    assert store(client, NOW + 1).trim(NOTHING, keeper="two").removed == 2


def test_what_asked_for_a_longer_life_stays_until_its_own_time(client: Client) -> None:
    """A job's own age goes before the queue's."""
    for outcome in ("completed", "dead"):
        ended(client, outcome, "long", own_ms=90_000)
        ended(client, outcome, "short")
        rules = keeping(completed={"age": "30s"}, dead={"age": "30s"})

        assert store(client, NOW + 89_999).trim(rules).removed == 1
        assert left(client, outcome) == ["long"]
        assert store(client, NOW + 90_000).trim(rules).removed == 1
        client.flushall()


def test_what_asked_for_a_longer_life_keeps_nobody_else_alive(client: Client) -> None:
    """However many of them stand before the others in line, also in one millisecond."""
    ended(client, "completed", *(f"long{i}" for i in range(6)), own_ms=900_000)
    ended(client, "completed", "short")

    later, rules = store(client, NOW + 60_000), keeping(completed={"age": "30s"})
    assert sum(later.trim(rules, limit=2).removed for _ in range(5)) == 1
    assert left(client, "completed") == [f"long{i}" for i in range(6)]
    ended(client, "completed", "next", now=NOW + 1)
    assert later.trim(rules, limit=2).removed == 1


def test_those_that_were_passed_may_go_in_any_order(client: Client) -> None:
    """Also the very one that marked the place."""
    rules = keeping(completed={"age": "30s"})
    ended(client, "completed", *"ab", own_ms=900_000)
    ended(client, "completed", "c", now=NOW + 1, own_ms=70_000)
    assert store(client, NOW + 60_000).trim(rules, limit=3)[:2] == (0, True)

    ended(client, "completed", "d", now=NOW + 2)
    assert store(client, NOW + 70_001).trim(rules, limit=3).removed == 2
    assert left(client, "completed") == ["a", "b"]


def test_a_clock_that_was_set_back_hides_nobody(client: Client) -> None:
    """What ended "before" those that were passed is found all the same."""
    rules = keeping(completed={"age": "30s"})
    ended(client, "completed", "long", own_ms=10 * HOUR)
    store(client, NOW + 60_000).trim(rules)
    ended(client, "completed", "early", now=NOW - HOUR)

    assert store(client, NOW - HOUR + 30_000).trim(rules).removed == 1
    assert left(client, "completed") == ["long"]


def test_an_id_is_remembered_while_its_job_has_ended_less_than_a_minute_ago(
    client: Client,
) -> None:
    """Whatever `retain` says; and no longer than that needs: a million old ones cost nothing."""
    ended(client, "completed", "old")
    ended(client, "completed", "young", now=NOW + 60_000)

    assert store(client, NOW + 60_000).trim(NOTHING).removed == 2
    assert store(client, NOW + 60_000).add([NewJob("young", "noop", b"{}")]) == [False]
    assert store(client, NOW + 119_999).add([NewJob("young", "noop", b"{}")]) == [False]
    assert store(client, NOW + 60_000).add([NewJob("old", "noop", b"{}")]) == [True]
    assert sum(client.scard(key) for key in client.keys("t:{q}:recent:*")) == 1


def test_settling_trims_a_little_more_than_it_settles(client: Client) -> None:
    """So a number that was lowered is reached, and no worker pays for all of it at once."""
    for step in range(10):
        ended(client, "completed", *(f"{step}.{i}" for i in range(8)), now=NOW + step)
    assert len(records(client)) == 80

    for step in range(9):
        ended(client, "completed", *(f"x{step}.{i}" for i in range(8)), now=NOW + 99, keep=70)
    assert len(left(client, "completed")) == 70
    assert records(client) == set(left(client, "completed"))


def test_a_job_revived_while_others_are_trimmed_is_never_touched(redis_url: str) -> None:
    """The container is the state: what is back in line is not found among the dead (I-33)."""
    client = connect(redis_url)
    ids = [f"j{i}" for i in range(200)]
    for at in range(0, 200, 50):
        ended(client, "dead", *ids[at : at + 50])
    revived: list[str] = []

    def revive(mine: Iterable[str]) -> None:
        theirs = connect(redis_url)
        for job in mine:
            [word] = Store(theirs, "t", "q", now=NOW + 1).retry([job])
            if word == "retried":
                revived.append(job)
        theirs.close()

    threads = [threading.Thread(target=revive, args=(ids[i::4],)) for i in range(2)]
    for thread in threads:
        thread.start()
    removed = 0
    while any(thread.is_alive() for thread in threads) or client.zcard("t:{q}:dead"):
        removed += store(client, NOW + 1).trim(NOTHING, limit=1).removed
    for thread in threads:
        thread.join()

    assert removed + len(revived) == 200
    assert removed >= 100
    assert records(client) == set(revived) == set(Views(client, "t").jobs("q", "waiting", 1000))
    client.close()


def runs(
    client: Client,
    *jobs: NewJob,
    verb: str = "done",
    own_ms: int = 0,
    now: int,
    keep: int = 2,
    anew: bool = True,
) -> None:
    """Let jobs be added - `anew`: each beginning an ended one of its id anew - and end."""
    s = store(client, now)
    if anew:
        s.add_once([JobOnTerms.of(job, Terms(nonce=f"n{now}")) for job in jobs])
    else:
        assert s.add(jobs) == [True] * len(jobs)
    s.join("w.1", LEASE)
    claim = s.claim("w.1", LEASE, slots=len(jobs))
    ends = [Ending(verb, job.id, claim.number, FIGURES, own_ms, "failed") for job in claim.jobs]
    assert s.settle("w.1", LEASE, keep=keep, endings=ends) == []


def named(*ids: str) -> list[NewJob]:
    return [NewJob(i, "noop", b"{}") for i in ids]


@pytest.mark.parametrize("others", ["plain", "with an age of their own"])
def test_a_record_that_goes_over_the_number_leaves_no_age_behind(
    client: Client, others: str
) -> None:
    """Or the next job of its id would go by it."""
    runs(client, *named("a"), own_ms=HOUR, now=NOW)
    runs(client, *named("b", "c", "d"), own_ms=HOUR if others != "plain" else 0, now=NOW + 1)

    assert records(client) == set(left(client, "completed"))
    assert "a" not in records(client)
    assert set(client.zrange("t:{q}:expiring", 0, -1)) <= {i.encode() for i in records(client)}


def test_a_record_that_goes_at_once_leaves_no_age_behind(client: Client) -> None:
    """More jobs of one call than the queue keeps."""
    runs(client, *named("a", "b"), own_ms=HOUR, now=NOW, keep=1)

    assert len(records(client)) == 1
    assert {i.decode() for i in client.zrange("t:{q}:expiring", 0, -1)} == records(client)


@pytest.mark.parametrize("how", ["added anew", "begun anew"])
def test_a_dead_job_stays_for_its_own_week_whatever_its_id_was_before(
    client: Client, how: str
) -> None:
    """A job that asked for an hour, went over the number, and came again without asking."""
    runs(client, *named("a"), own_ms=HOUR, now=NOW)
    runs(client, *named("b", "c", "d"), now=NOW + 1)
    runs(client, *named("a"), verb="dead", now=NOW + 200_000, anew=how == "begun anew")

    assert store(client, NOW + HOUR).trim(keeping()).removed == 0
    assert left(client, "dead") == ["a"]


@pytest.mark.parametrize("outcome", ["completed", "dead"])
def test_an_age_that_the_record_does_not_know_of_removes_nothing(
    client: Client, outcome: str
) -> None:
    """Whoever left it there: what removes a job is what the job itself has asked for."""
    ended(client, outcome, "a")
    ended(client, outcome, "b", own_ms=90_000)
    client.zadd("t:{q}:expiring", {"a": NOW + 1, "b": NOW + 1, "gone": NOW + 1})

    assert store(client, NOW + 60_000).trim(keeping()).removed == 0
    assert left(client, outcome) == ["a", "b"]
    assert not client.exists("t:{q}:expiring")
