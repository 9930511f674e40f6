"""Who was told of a firing is told of its end: over reloads, rules that go, and stores that are flushed."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from support.daemons import eventually
from support.evaluators import KEYS, Host, grow_old, overfull

from jobd.broker.alerts import AlertStore, firing
from jobd.broker.connection import Client, connect
from jobd.broker.store import read_epoch, register_queues


@pytest.fixture
def client(redis_url: str) -> Iterator[Client]:
    made = connect(redis_url)
    yield made
    made.close()


def test_what_a_flush_took_out_of_the_outbox_is_told_after_it(
    client: Client, redis_url: str
) -> None:
    """Nobody had heard of it: the state that is remembered must not say so. Its end follows."""
    hosts = [Host(client, "backlog", clear_for=1) for _ in range(2)]
    overfull(client, redis_url)
    for host in hosts * 2:
        host.look()
    client.flushall()
    register_queues(client, "jobd", ["q"])
    hosts[0].look()
    assert [each.status for each in hosts[0].told()] == ["firing"]
    for host in hosts:
        eventually(
            "it is over",
            lambda host=host: (host.look(), firing(client, "jobd"))[1] == {"backlog": 0},
        )
    assert [each.status for each in hosts[0].told()] == ["resolved"]


def test_an_end_that_a_flush_took_out_of_the_outbox_is_told_after_it(
    client: Client, redis_url: str
) -> None:
    """They still think that it fires. What was told right before the flush is not told again."""
    host = Host(client, "backlog")
    overfull(client, redis_url)
    host.look()
    assert [each.status for each in host.told()] == ["firing"]
    client.flushall()
    register_queues(client, "jobd", ["q"])
    host.look()  # the end is on its way
    for _ in range(2):
        client.flushall()
        register_queues(client, "jobd", ["q"])
        host.look()
    assert [each.status for each in host.told()] == ["resolved"]
    client.flushall()
    register_queues(client, "jobd", ["q"])
    host.look()
    assert host.told() == []


def test_a_newcomer_with_an_outbox_that_is_lost_tells_rather_twice_than_only_the_end(
    client: Client, redis_url: str
) -> None:
    """It does not know what the sink has heard: of no end before a firing."""
    overfull(client, redis_url)
    Host(client, "backlog").look()
    newcomer = Host(client, "backlog")
    newcomer.look()
    client.flushall()
    register_queues(client, "jobd", ["q"])
    for _ in range(3):
        newcomer.look()
    assert newcomer.told() == []


def test_a_rule_that_is_gone_ends_for_those_who_were_told(client: Client, redis_url: str) -> None:
    """By whoever forgets it, after a while; once, and after a mute."""
    host = Host(client, "backlog", sinks=["webhook", "pager"])
    overfull(client, redis_url)
    host.look()
    others = [Host(client, "dead") for _ in range(3)]
    for other in others:
        other.look()
    assert [each.status for each in host.told()] == ["firing"]
    grow_old(client, "backlog")
    AlertStore(client, "jobd").mute("backlog", 60_000)
    for other in others:
        other.look()
    assert host.told() == []
    AlertStore(client, "jobd").unmute("backlog")
    for other in others * 2:
        other.look()

    [note] = host.told()
    assert (note.status, note.rule, note.kind) == ("resolved", "backlog", "backlog")
    assert note.summary == "backlog: resolved: the rule is gone from the configuration"
    assert [each.of for each in note.instances] == ["q"]
    assert [each.status for each in host.told("pager")] == ["firing", "resolved"]
    assert "backlog" not in firing(client, "jobd")
    assert sum(each.event == "alert.resolved" for other in others for each in other.events) == 1


def test_a_rule_that_is_gone_tells_each_what_he_knows(client: Client, redis_url: str) -> None:
    """Of what fired before a sink was there it has heard as well; of what it has not, it hears no end."""
    host = Host(client, "backlog", sinks=["webhook"])
    overfull(client, redis_url)
    host.look()
    state = AlertStore(client, "jobd").states()["backlog"].state
    more = {"other": msgspec.structs.replace(state.instances["q"], told_to=("", "pager"))}
    state = msgspec.structs.replace(state, instances=state.instances | more)
    client.hset(KEYS.alert_states, "backlog", msgspec.json.encode(state))
    grow_old(client, "backlog")
    Host(client, "dead").look()

    assert [[i.of for i in each.instances] for each in host.told()] == [["q"], ["q"]]
    assert [[i.of for i in each.instances] for each in host.told("pager")] == [["other"]]
    assert "backlog" not in firing(client, "jobd")


def test_a_sink_that_takes_anothers_place_hears_that_it_fires_and_both_hear_the_end(
    client: Client, redis_url: str
) -> None:
    """On hosts with either configuration, as while a new one is brought out; each hears in turn."""
    before, after = Host(client, "backlog"), Host(client, "backlog", sinks=["pager"])
    overfull(client, redis_url)
    for host in [before, before, after, before, after]:
        host.look()
    client.delete("jobd:{q}:waiting")
    for host in [after, before, after]:
        host.look()
    for sink in ("webhook", "pager"):
        assert [each.status for each in before.told(sink)] == ["firing", "resolved"]


def test_a_store_that_goes_back_ends_what_was_told_before(client: Client, redis_url: str) -> None:
    """An old copy knows nothing of a firing that receivers have heard of; whoever notices puts it right."""
    hosts = [Host(client, "backlog") for _ in range(2)]
    register_queues(client, "jobd", ["q"])
    for host in hosts:
        host.look()
    copy = {key: client.dump(key) for key in (KEYS.alert_states, KEYS.alert_beat)}
    overfull(client, redis_url)
    for host in hosts:
        host.look()
    assert [each.status for each in hosts[0].told()] == ["firing"]
    for host in hosts:
        host.look()
    client.delete("jobd:{q}:waiting")
    for key, document in copy.items():
        client.restore(key, 0, document, replace=True)  # type: ignore[arg-type]
    for key in client.scan_iter(KEYS.alert_turn_prefix + "*"):
        client.delete(key)
    hosts[1].shared._store.take_turn(
        ["backlog"], 60_000
    )  # another host's turn, which knows nothing
    hosts[0].shared.look()
    for host in [*hosts, Host(client, "backlog"), *hosts]:
        host.look()
    assert [each.status for each in hosts[0].told()] == ["resolved"]


def test_a_second_loss_is_told_as_well(client: Client) -> None:
    """Whoever saw to the first one hears of the next; each is told once, over all hosts."""
    hosts = [Host(client, "store_reset", epoch="first") for _ in range(3)]
    for life in ("second", "third"):
        client.flushall()
        read_epoch(client, "jobd", life)
        for host in hosts * 3:
            host.look()
        assert [each.status for each in hosts[0].told()].count("firing") == 1, life
