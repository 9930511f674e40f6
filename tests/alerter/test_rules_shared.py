"""The rules' thread against a real server, one look at a time: cost, turns, mutes, resets, a full store."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from conftest import DEFAULT, PROGRAMS
from support.evaluators import KEYS, Host
from support.servers import running

from jobd.broker.alerts import AlertStore, firing
from jobd.broker.connection import Client, connect
from jobd.broker.store import read_epoch, register_queues
from jobd.client.app import Jobd


@pytest.fixture
def client(redis_url: str) -> Iterator[Client]:
    made = connect(redis_url)
    yield made
    made.config_set("maxmemory", "0")
    made.close()


def test_many_hosts_tell_once(client: Client, redis_url: str) -> None:
    """Whoever looks; and the end of it as well."""
    hosts = [Host(client, "backlog") for _ in range(4)]
    Jobd(redis_url).queue("q").add_many([("x", {})] * 4)
    register_queues(client, "jobd", ["q"])
    for host in hosts * 3:
        host.look()
    assert [each.status for each in hosts[0].told()] == ["firing"]
    assert firing(client, "jobd") == {"backlog": 1}

    client.delete("jobd:{q}:waiting")
    for host in hosts * 3:
        host.look()
    assert [each.status for each in hosts[0].told()] == ["resolved"]
    assert firing(client, "jobd") == {"backlog": 0}

    over, began = AlertStore(client, "jobd").history()
    assert (began.what, over.what) == ("firing", "resolved")
    assert [each.of for each in began.instances] == [each.of for each in over.instances] == ["q"]
    assert (began.rule, began.kind) == ("backlog", "backlog")


def test_only_one_host_looks_in_a_period(client: Client) -> None:
    """The others ask for their turn, and that is all."""
    register_queues(client, "jobd", [f"q{n}" for n in range(50)])
    first, second = (Host(client, "backlog", "latency", "dead") for _ in range(2))
    first.shared._every = second.shared._every = 60.0
    first.shared.look()
    before = calls(client)
    second.shared.look()
    after = calls(client)

    assert after - before <= 20


def test_an_evaluation_costs_what_the_number_of_queues_costs(
    client: Client, redis_url: str
) -> None:
    """Fifty queues, every shared kind: so many commands and no more, however many jobs there are."""
    kinds = (
        "backlog", "latency", "failure_rate", "dead", "crash_loop", "stalled", "no_workers",
        "missing_workers", "schedule_missed", "stuck", "interrupted", "redis_memory", "store_unfit", "store_reset",
        "reload_refused", "host_lost", "memory",
    )  # fmt: skip
    queues = [f"q{n}" for n in range(50)]
    register_queues(client, "jobd", queues)
    host = Host(client, *kinds)
    host.look()
    host.look()

    def cost() -> int:
        before = calls(client)
        host.look()
        return calls(client) - before

    empty = cost()
    print(f"commands of an evaluation, 50 queues, {len(kinds)} rules: {empty}")
    assert empty <= 50 * 13 + 120
    app = Jobd(redis_url)
    for queue in queues:
        app.queue(queue).add_many([("x", {})] * 200)
    host.look()  # what changed is written
    assert cost() <= empty + 50 * 3 + 20


def test_a_mute_tells_nobody_and_its_end_does(client: Client, redis_url: str) -> None:
    """The state goes on all the while."""
    host, store = Host(client, "backlog"), AlertStore(client, "jobd")
    register_queues(client, "jobd", ["q"])
    store.mute("backlog", 3_600_000)
    Jobd(redis_url).queue("q").add_many([("x", {})] * 4)
    for _ in range(3):
        host.look()
    assert (firing(client, "jobd"), host.told()) == ({"backlog": 1}, [])
    assert "backlog" in host.shared.known.mutes

    store.unmute("backlog")
    host.look()
    assert [each.status for each in host.told()] == ["firing"]


def test_a_store_that_was_flushed_is_told_once(client: Client) -> None:
    """Whoever of those who knew the old one notices; a newcomer learns of it from them."""
    old = read_epoch(client, "jobd", "old")
    hosts = [Host(client, "store_reset") for _ in range(3)]
    for host in hosts:
        host.look()
    assert hosts[0].told() == []
    client.flushall()
    read_epoch(client, "jobd", "new")
    for host in [*hosts, Host(client, "store_reset"), *hosts]:
        host.look()

    [note] = hosts[0].told()
    assert (note.status, note.kind) == ("firing", "store_reset")
    assert old == "old"


def test_a_store_that_goes_back_is_told_once(client: Client) -> None:
    """A replica that lagged, an old copy: what was acknowledged is gone, though the store is the same."""
    read_epoch(client, "jobd", "same")
    hosts = [Host(client, "store_reset") for _ in range(3)]
    for host in hosts * 2:
        host.look()
    copy = client.zscore(KEYS.alert_beat, "at")
    assert copy
    for host in hosts * 2:
        host.look()
    assert hosts[0].told() == []
    client.zadd(KEYS.alert_beat, {"at": copy - 5000})
    for host in hosts * 3:
        host.look()

    assert [each.status for each in hosts[0].told()] == ["firing"]


def test_an_old_copy_of_the_store_is_told(tmp_path: Path) -> None:
    """A server that is killed and comes up with its last snapshot lives the same life, and knows less."""
    program = PROGRAMS[DEFAULT]
    with ExitStack() as stack:
        client = connect(stack.enter_context(running(program, tmp_path)))
        read_epoch(client, "jobd", "same")
        host = Host(client, "store_reset")
        host.look()
        client.save()
        for _ in range(2):
            host.look()
        os.kill(client.info("server")["process_id"], signal.SIGKILL)
    with running(program, tmp_path):
        for _ in range(3):
            host.look()
        assert [each.status for each in host.told()] == ["firing"]
        client.close()


def test_a_strangers_key_in_the_way_is_said_and_is_no_outage(client: Client) -> None:
    """Rules are blind then; Redis is not down."""
    host = Host(client, "backlog")
    client.set(KEYS.alert_states, "x")
    for _ in range(3):
        host.shared._try()
    assert [event.event for event in host.events] == ["alerts.blind"]
    assert host.sight.unreachable() == ""
    client.delete(KEYS.alert_states)
    host.shared._try()
    assert [event.event for event in host.events] == ["alerts.blind", "alerts.see"]


def test_what_fired_before_a_flush_ends_for_those_who_were_told(
    client: Client, redis_url: str
) -> None:
    """The store has forgotten that it fires; receivers have not. Neither twice, nor never."""
    hosts = [Host(client, "backlog") for _ in range(3)]
    register_queues(client, "jobd", ["q"])
    Jobd(redis_url).queue("q").add_many([("x", {})] * 4)
    for host in hosts * 2:
        host.look()
    assert [each.status for each in hosts[0].told()] == ["firing"]
    for host in hosts:
        host.look()  # they see that it was delivered
    client.flushall()
    register_queues(client, "jobd", ["q"])
    Jobd(redis_url).queue("q").add_many([("x", {})] * 4)
    for host in reversed(hosts * 2):
        host.look()
    assert hosts[0].told() == []
    assert firing(client, "jobd") == {"backlog": 1}
    client.flushall()
    for host in [*hosts[1:], Host(client, "backlog"), *hosts]:
        host.look()
    assert [each.status for each in hosts[0].told()] == ["resolved"]


def test_a_full_store_is_no_reason_to_be_silent(client: Client, redis_url: str) -> None:
    """Looks, moves and tells at maxmemory."""
    host = Host(client, "backlog")
    register_queues(client, "jobd", ["q"])
    Jobd(redis_url).queue("q").add_many([("x", {})] * 4)
    host.look()
    host.told()
    client.set("filler", b"x" * 2_000_000)
    client.config_set("maxmemory", "1")
    client.delete("jobd:{q}:waiting")
    for _ in range(3):
        host.look()

    assert [each.status for each in host.told()] == ["resolved"]


def calls(client: Client) -> int:
    stats: Any = client.info("commandstats")
    return sum(
        row["calls"] for name, row in stats.items() if name not in ("cmdstat_info", "cmdstat_scan")
    )
