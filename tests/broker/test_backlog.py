"""The figures by which processes are counted, on a real server."""

from __future__ import annotations

from jobd.broker.backlog import Backlog, Backlogs
from jobd.broker.connection import Client
from jobd.broker.new_job import NewJob
from jobd.broker.store import Store
from jobd.core.limits import Limits

LEASE = 30_000
NOW = 1_800_000_000_000


def store(client: Client, later: int = 0) -> Store:
    return Store(client, "t", "q", now=NOW + later)


def add(client: Client, *ids: str, later: int = 0, due: str = "", priority: int = 5) -> None:
    store(client, later).add([NewJob(i, "t", b"{}", due=due, priority=priority) for i in ids])


def look(client: Client, later: int = 0) -> Backlog:
    return Backlogs(client, "t", now=NOW + later).read(["q"])["q"]


def test_an_empty_queue_is_told_in_one_round_trip(client: Client) -> None:
    assert look(client) == Backlog()
    before = client.info("commandstats")
    Backlogs(client, "t").read(f"q{i}" for i in range(50))
    after = client.info("commandstats")
    calls = {
        name: row["calls"] - before.get(name, {"calls": 0})["calls"] for name, row in after.items()
    }
    assert sum(calls.values()) - calls["cmdstat_info"] == 50 * 6 + 1


def test_what_is_due_counts_and_so_does_its_age(client: Client) -> None:
    """Waiting, and delayed that is due; what is to come later is not due."""
    add(client, "a", "b")
    add(client, "c", due="+2000")
    add(client, "d", due="+9000")
    assert look(client, 1000) == Backlog(due=2, oldest=1.0)
    assert look(client, 5000) == Backlog(due=3, oldest=5.0)

    store(client, 3000).join("n.1", LEASE)
    assert len(store(client, 5000).claim("n.1", LEASE, slots=2).jobs) == 2
    assert look(client, 6000) == Backlog(due=1, oldest=4.0), "c waits since it was due"


def test_the_oldest_is_found_behind_those_that_overtake(client: Client) -> None:
    """It waits in the last of the priorities, whatever is next."""
    add(client, "slow", priority=90)
    add(client, "mid", later=3000)
    add(client, "late", priority=90, later=4000)
    add(client, "quick", priority=-7, later=5000)
    assert look(client, 6000) == Backlog(due=4, oldest=6.0)


def test_what_holds_a_queue_back_is_told(client: Client) -> None:
    add(client, "a")
    store(client).pause()
    assert look(client).paused
    store(client).resume()
    assert not look(client).paused
    client.hset("t:{q}:meta", "not_before", NOW + 100)
    assert look(client).limited
    assert not look(client, 100).limited


def test_a_rate_limit_is_met_until_its_window_has_passed(client: Client) -> None:
    store(client).join("n.1", LEASE, limits=Limits(rate_max=10, rate_ms=10_000))
    add(client, *[f"j{i}" for i in range(20)])
    for taken in range(1, 11):
        assert len(store(client, taken * 20).claim("n.1", LEASE, ahead_ms=100).jobs) == 1
        assert look(client, taken * 20).limited == (taken >= 9)
    assert look(client, 9_000).limited
    assert not look(client, 21_000).limited


def test_a_cap_is_met_when_that_many_are_held(client: Client) -> None:
    """By workers of all hosts; those of a host that is gone count no more than their leases."""
    for worker in ("n.1", "n.2", "m.1"):
        store(client).join(worker, LEASE, limits=Limits(max_active=2))
    add(client, *"abcd")
    assert len(store(client).claim("n.1", LEASE).jobs) == 1
    assert not look(client).limited
    assert len(store(client).claim("m.1", LEASE).jobs) == 1
    assert look(client).limited


def test_hosts_are_counted_by_the_open_leases_of_their_workers(client: Client) -> None:
    for worker in ("n.1", "n.2", "m.1", "gone.7"):
        store(client).join(worker, 100 if worker == "gone.7" else LEASE)
    assert look(client).hosts == 3
    assert look(client, 200).hosts == 2
    assert look(client, 2 * LEASE).hosts == 1, "this host is one in any case"


def test_a_stranger_in_the_place_of_a_key_counts_for_nothing(client: Client) -> None:
    for key in ("waiting", "delayed", "leases", "meta"):
        client.set("t:{q}:" + key, "what")
    assert look(client) == Backlog()
    client.delete("t:{q}:meta", "t:{q}:waiting")
    client.hset("t:{q}:meta", mapping={"rate_max": "x", "max_active": "y", "not_before": ""})
    add(client, "a")
    client.hset("t:{q}:job:a", "at", "never")
    assert look(client) == Backlog(due=1)
