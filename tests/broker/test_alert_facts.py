"""What alert rules are told of queues and of the server, on real servers; and what asking costs."""

from __future__ import annotations

from typing import Any

from jobd.broker.alert_facts import QueueReader, store_facts
from jobd.broker.commands import Blame, Completed, Ending
from jobd.broker.connection import Client
from jobd.broker.new_job import NewJob
from jobd.broker.store import Store
from jobd.core.alerts.facts import QueueFacts

LEASE = 30_000
NOW = 1_800_000_000_000
MINUTE = NOW // 60_000


def store(client: Client, at: int = NOW) -> Store:
    return Store(client, "t", "q", now=at)


def add(client: Client, *ids: str) -> None:
    store(client).add([NewJob(i, "t", b"{}") for i in ids])


def claim(client: Client, count: int, at: int = NOW, worker: str = "n.1") -> Any:
    store(client, at).join(worker, LEASE)
    return store(client, at).claim(worker, LEASE, limit=count, budget_us=10**9, costs=["t", 1])


def look(client: Client, at: int = NOW, **more: Any) -> QueueFacts:
    return QueueReader(client, "t").read(["q"], at, **more)["q"]


def test_outcomes_are_read_by_the_minute_and_deaths_by_the_window(client: Client) -> None:
    """As workers settle them."""
    add(client, *"abcd")
    first = claim(client, 2, NOW)
    done = [Completed(job.id, first.number, "t|0|0|0", b"") for job in first.jobs[:1]]
    failed = [Ending("retry", first.jobs[1].id, first.number, "t|0|0|0", 90_000, "failed")]
    assert store(client).settle("n.1", LEASE, completed=done, endings=failed) == []
    later = NOW + 70_000
    second = claim(client, 2, later, "n.2")
    dead = [Ending("dead", job.id, second.number, "t|0|0|0", 0, "failed") for job in second.jobs]
    assert store(client, later).settle("n.2", LEASE, endings=dead) == []

    seen = look(client, later, minutes=5, died_within={60.0, 0.001})

    by_minute = {minute: counts for minute, counts in seen.minutes.items() if counts}
    assert by_minute == {MINUTE: {"completed": 1, "failed": 1}, MINUTE + 1: {"dead": 2}}
    assert seen.died == {60.0: 2, 0.001: 2}
    assert look(client, later + 61_000, died_within={60.0}).died == {60.0: 0}


def test_minutes_that_are_over_are_not_asked_again_and_not_forgotten(client: Client) -> None:
    """They do not change; so an evaluation asks for one minute."""
    client.hset(f"t:{{q}}:minute:{MINUTE - 2}", "failed", 7)
    reader = QueueReader(client, "t")
    reader.read(["q"], NOW, minutes=5)
    before = calls(client)

    seen = reader.read(["q"], NOW + 2000, minutes=5)["q"]

    assert seen.minutes[MINUTE - 2] == {"failed": 7}
    assert calls(client)["hgetall"] - before["hgetall"] == 1
    assert MINUTE - 2 not in reader.read(["q"], NOW + 400_000, minutes=5)["q"].minutes


def test_when_something_was_claimed_last_is_known_from_the_claim(client: Client) -> None:
    """Its number is a time."""
    add(client, "a", "b")
    assert look(client).claimed_ago is None
    claim(client, 1, NOW)
    assert look(client, NOW + 5000).claimed_ago == 5.0


def test_workers_are_leases_that_hold(client: Client) -> None:
    """One that has run out is none."""
    assert look(client).workers == 0
    store(client).join("n.1", LEASE)
    assert look(client).workers == 1
    assert look(client, NOW + LEASE).workers == 0


def test_a_fifth_interruption_is_counted_once_and_named(client: Client) -> None:
    """The sixth is no news, nor are four of another job."""
    add(client, "a")
    for turn in range(6):
        worker = f"n.{turn}"
        [job] = claim(client, 1, NOW + turn, worker).jobs
        store(client, NOW + turn).release(worker, [Blame("a", "interrupted", b'{"at":1}')])
        seen = look(client, interrupted=True)
        assert seen.interrupted == (turn >= 4), turn
        assert job.id == b"a"
    assert seen.interrupted_last == "a"


def test_schedules_that_are_due_and_slots_that_were_passed_over(client: Client) -> None:
    """A paused one is not due."""
    client.zadd("t:{q}:schedules", {"late": NOW - 90_000, "soon": NOW + 5, "off": float("inf")})
    client.hset("t:{q}:schedule:late", mapping={"missed_slots": 3})
    client.hset("t:{q}:schedule:soon", mapping={"cron": "x"})

    seen = look(client, schedules=True)

    assert seen.overdue == {"late": 90.0}
    assert seen.skipped == {"late": 3, "soon": 0, "off": 0}


def test_what_a_stranger_put_there_counts_for_nothing(client: Client) -> None:
    """Of any type, in any place."""
    for key in ("meta", "leases", "dead", "schedules", "tally", f"minute:{MINUTE}"):
        client.set(f"t:{{q}}:{key}", "x")

    seen = look(client, minutes=5, died_within={60.0}, schedules=True, interrupted=True)

    assert (seen.workers, seen.died, seen.overdue, seen.interrupted) == (0, {}, {}, 0)


def test_the_server_says_how_full_it_is(client: Client) -> None:
    """And what is wrong with it."""
    facts = store_facts(client, keeps_nothing=True, reset_ago=None)
    assert facts.used_memory > 0
    assert facts.host_memory > facts.used_memory
    assert facts.unfit == ()
    client.config_set("maxmemory-policy", "allkeys-lru")
    facts = store_facts(client, keeps_nothing=True, reset_ago=3.0)
    client.config_set("maxmemory-policy", "noeviction")
    assert "noeviction" in facts.unfit[0]
    assert facts.reset_ago == 3.0


def calls(client: Client) -> dict[str, int]:
    stats: Any = client.info("commandstats")
    found = {name.removeprefix("cmdstat_"): row["calls"] for name, row in stats.items()}
    return {"hgetall": 0} | found
