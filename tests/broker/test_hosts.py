"""What hosts say of themselves, the overview of all queues, and what belongs to nobody."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobd.broker import hosts
from jobd.broker.checkup import TRIPS, store_facts
from jobd.broker.connection import Client
from jobd.broker.leftovers import leases, ownerless
from jobd.broker.new_job import NewJob
from jobd.broker.overview import overview
from jobd.broker.store import Store, register_queues, store_ms
from jobd.broker.views import Views
from jobd.core.portrait import MOST_WORKERS, Daemon, Worker, bounded

LEASE = 30_000


def a_daemon(**changes: Any) -> Daemon:
    fields: dict[str, Any] = {
        "running": True, "stopping": False, "pid": 7, "started_at": 1.0, "up_for": 2.0, "generation": 1,
        "last_error": None, "helpers": {}, "workers": [], "nonce": "n", "host": "web1",
    }  # fmt: skip
    return Daemon(**(fields | changes))


def test_a_host_is_read_as_it_said_it_was(client: Client) -> None:
    said = a_daemon(workers=[Worker(
        slot="q.1", queue="q", phase="busy", pid=1, incarnation="n.1", restarts=2, last_exit="crash",
        exits={"crash": 2}, running=1, job="a", task="t", running_for=1.5, memory=5,
    )])  # fmt: skip
    hosts.say(client, "t", "web1-1", said, wall_ms=store_ms(client) + 2000)

    [host] = hosts.hosts(client, "t")

    assert (host.key, host.daemon) == ("web1-1", said)
    assert host.silent_for < 5
    assert host.ahead == pytest.approx(2.0, abs=0.5)


def test_the_newest_word_counts_and_is_taken_back(client: Client) -> None:
    for pid in (1, 2):
        hosts.say(client, "t", "a", a_daemon(pid=pid), wall_ms=0)
    assert [host.daemon and host.daemon.pid for host in hosts.hosts(client, "t")] == [2]
    hosts.unsay(client, "t", "a")
    hosts.unsay(client, "t", "a")
    assert hosts.hosts(client, "t") == []


def test_a_silent_host_is_shown_for_an_hour_and_then_forgotten(client: Client) -> None:
    now = store_ms(client)
    hosts.say(client, "t", "old", a_daemon(), wall_ms=0)
    word = client.hget("t:hosts", "old").partition(b" ")[2]
    client.hset("t:hosts", "old", b"%d " % (now - 180_000) + word)
    client.hset("t:hosts", "older", b"%d " % (now - 4_000_000) + word)

    [host] = hosts.hosts(client, "t")
    assert host.key == "old"
    assert host.silent_for == pytest.approx(180, abs=5)

    for _ in range(300):  # each sixteenth of a second's milliseconds looks for those to forget
        hosts.say(client, "t", "new", a_daemon(), wall_ms=0)
        if not client.hexists("t:hosts", "older"):
            break
    assert {host.key for host in hosts.hosts(client, "t")} == {"new", "old"}
    assert not client.hexists("t:hosts", "older")


@pytest.mark.parametrize(
    "garbage",
    [b"", b"\xff\x00", b"12", b"12 {", b"9" * 40 + b" {}", b'5 {"wall_ms": "x"}', b"x y z"],
)
def test_what_others_put_there_is_named_as_unread(client: Client, garbage: bytes) -> None:
    client.hset("t:hosts", "odd", garbage)
    hosts.say(client, "t", "good", a_daemon(), wall_ms=0)
    found = {host.key: host for host in hosts.hosts(client, "t")}
    assert found["good"].daemon is not None
    assert "odd" not in found or found["odd"].why_unread


@given(count=st.integers(0, 3 * MOST_WORKERS), busy=st.integers(0, 3 * MOST_WORKERS))
@settings(max_examples=20)
def test_a_large_fleets_word_is_bounded_and_counts_all(count: int, busy: int) -> None:
    workers = [
        Worker(slot=f"q.{n}", queue="q", phase="idle", pid=n, incarnation=None, restarts=0, last_exit=None,
               running=int(n < busy))
        for n in range(count)
    ]  # fmt: skip
    said = bounded(a_daemon(workers=workers))
    assert said.workers_in_all == count
    assert len(said.workers) == min(count, MOST_WORKERS)
    assert sum(w.running for w in said.workers) == min(busy, count, MOST_WORKERS)


def test_the_overview_says_what_each_queues_view_says(client: Client) -> None:
    for queue in ("a", "b", "c"):
        store = Store(client, "t", queue)
        register_queues(client, "t", [queue])
        store.add([NewJob(f"{queue}{n}", "noop", b"{}") for n in range(3)])
        store.join("w.1", LEASE)
    Store(client, "t", "b").claim("w.1", LEASE, budget_us=50_000, costs=["noop", 10])
    Store(client, "t", "c").pause("", "lunch")
    client.sadd("t:queues", b"\xff not a name")
    views = Views(client, "t")

    found = overview(client, "t")

    assert found.counts == {queue: views.counts(queue) for queue in ("a", "b", "c")}
    assert found.flows == {queue: views.flow(queue) for queue in ("a", "b", "c")}
    assert found.counts["b"]["active"] == 3
    assert found.flows["c"].paused_why == "lunch"


def test_the_overview_of_what_a_stranger_put_there(client: Client) -> None:
    register_queues(client, "t", ["a"])
    client.set("t:{a}:waiting", "x")
    client.set("t:{a}:leases", "x")
    assert overview(client, "t").counts["a"]["waiting"] == 0


def test_nothing_that_has_an_owner_is_called_ownerless(client: Client) -> None:
    store = Store(client, "t", "q")
    register_queues(client, "t", ["q"])
    store.add([NewJob(f"j{n}", "noop", b"{}") for n in range(20)])
    store.join("w.1", LEASE)
    store.claim("w.1", LEASE, budget_us=100, costs=["noop", 10])
    sample = ownerless(client, "t")
    assert sample.ownerless == ()
    assert sample.whole
    assert sample.looked_at > 20


def test_records_and_holdings_of_nobody_are_found(client: Client) -> None:
    store = Store(client, "t", "q")
    register_queues(client, "t", ["q"])
    store.add([NewJob("good", "noop", b"{}")])
    client.hset("t:{q}:job:lost", "task", "noop")
    client.hset("t:{q}:held:gone.1", "x", "1")
    client.hset("t2:{q}:job:elsewhere", "task", "noop")
    client.hset("t:{never}:job:lost", "task", "noop")
    assert set(ownerless(client, "t").ownerless) == {
        "t:{q}:job:lost", "t:{q}:held:gone.1", "t:{never}:job:lost",
    }  # fmt: skip


def test_leases_say_whose_they_are_what_they_hold_and_since_when_they_are_over(
    client: Client,
) -> None:
    store = Store(client, "t", "q")
    register_queues(client, "t", ["q"])
    store.add([NewJob(f"j{n}", "noop", b"{}") for n in range(3)])
    store.join("w.1", LEASE)
    store.claim("w.1", LEASE, budget_us=50_000, costs=["noop", 10])
    store.join("w.2", LEASE)
    client.zadd("t:{q}:leases", {"w.2": store_ms(client) - 90_000})
    found = {each.incarnation: each for each in leases(client, "t")}
    assert (found["w.1"].held, found["w.1"].over_for) == (3, 0.0)
    assert found["w.2"].held == 0
    assert found["w.2"].over_for == pytest.approx(90, abs=5)


def test_a_server_is_measured(client: Client) -> None:
    facts = store_facts(client, "t")
    assert len(facts.trips) == TRIPS
    assert facts.skew == pytest.approx(0, abs=0.5)
    assert facts.server is not None
    assert facts.clients
    assert facts.most_clients
    assert facts.format is None
    assert facts.fsync is None
