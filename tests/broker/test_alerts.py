"""Alerts in Redis: one notification per transition whoever races, bounded, also when the store is full."""

from __future__ import annotations

import threading
from itertools import pairwise

import msgspec
from msgspec.structs import replace

from jobd.broker import alerts
from jobd.broker.alert_outbox import RedisOutbox
from jobd.broker.alerts import AlertStore, Move
from jobd.broker.connection import Client, connect
from jobd.broker.keys import SharedKeys
from jobd.broker.scripts import SCRIPTS
from jobd.core.alerts.facts import Facts, QueueFacts
from jobd.core.alerts.history import KEPT, Change
from jobd.core.alerts.judge import judge, notification
from jobd.core.alerts.machine import InstanceState, RuleState, Spans
from jobd.core.alerts.notification import Instance, Notification
from jobd.core.config_alerts import RuleConfig
from jobd.core.ids import uuid7

KEYS = SharedKeys("jobd")
RULE = RuleConfig(name="r", kind="backlog", above=10.0, repeat=0.0)


def note(number: int) -> Notification:
    return Notification(
        id=uuid7(1_000_000 + number, 0), rule="r", kind="backlog", severity="warning", status="firing",
        at_ms=1, summary="s", hint="h", instances=[], namespace="jobd",
    )  # fmt: skip


def firing(*names: str, looked_ms: int = 0) -> RuleState:
    return RuleState(
        looked_ms=looked_ms,
        instances={
            name: InstanceState(phase="firing", since_ms=1, seen_ms=1, value=1.0, shown="")
            for name in names
        },
    )


def test_a_move_finds_what_it_expects_or_does_nothing(client: Client) -> None:
    """The second of two who saw the same state is stale, and its notification is not made."""
    store = AlertStore(client, "jobd")
    held = store.hold(["r"])["r"]

    assert store.move([Move("r", held.raw, firing("q"), note(1), ["hook", "duty"])]) == ["moved"]
    assert store.move([Move("r", held.raw, firing("q"), note(2), ["hook"])]) == ["stale"]

    assert client.hkeys(KEYS.alert_notes) == [note(1).id.encode()]
    assert client.zrange(KEYS.alert_due, 0, -1) == [
        f"{note(1).id} duty".encode(), f"{note(1).id} hook".encode(),
    ]  # fmt: skip
    [delivery] = RedisOutbox(client, "jobd").take(["hook"])
    assert delivery.notification == note(1)
    assert alerts.firing(client, "jobd") == {"r": 1}
    assert alerts.states(client, "jobd") == {"r": firing("q")}


def test_a_mute_that_came_in_between_holds(client: Client) -> None:
    """Whoever mutes hears nothing from the moment it was answered."""
    store = AlertStore(client, "jobd")
    raw = store.hold(["r"])["r"].raw
    until = store.mute("r", 60_000)

    assert store.move([Move("r", raw, firing("q"), note(1), ["hook"])]) == ["muted"]
    assert store.move([Move("r", raw, firing("q"))]) == ["moved"]
    assert store.hold(["r"])["r"].muted_until == until
    assert store.mutes() == {"r": until}
    assert store.unmute("r")
    assert not store.unmute("r")
    assert client.exists(KEYS.alert_notes) == 0


def test_a_transition_is_one_entry_of_the_history(client: Client) -> None:
    """Of whoever made it; who came too late makes none. What a mute holds back is none yet."""
    store = AlertStore(client, "jobd")
    raw = store.hold(["r"])["r"].raw
    change = Change(rule="r", what="firing", instances=[Instance(of="q", value=1.0, shown="é\n")])

    assert store.move([Move("r", raw, firing("q"), changes=[change])]) == ["moved"]
    assert store.move([Move("r", raw, firing("q"), changes=[change])]) == ["stale"]
    store.mute("r", 60_000, by="ann")
    held = store.hold(["r"])["r"].raw
    assert store.move([Move("r", held, firing(), note(1), ["hook"], [change])]) == ["muted"]
    assert store.unmute("r")
    assert not store.unmute("r")

    found = store.history()
    assert [each.what for each in found] == ["unmuted", "muted", "firing"]
    assert replace(found[2], at_ms=0) == change
    assert (found[1].for_ms, found[1].by) == (60_000, "ann")
    assert all(each.at_ms > 1_700_000_000_000 for each in found)


def test_the_history_is_bounded_and_a_stranger_s_key_is_no_hindrance(client: Client) -> None:
    """The newest stay; what cannot be read is left out."""
    client.set(KEYS.alert_history, "x")
    AlertStore(client, "jobd", now=1).mute("r", 1)
    for at in range(2, KEPT + 3):
        AlertStore(client, "jobd", now=at).mute("r", 1)

    found = AlertStore(client, "jobd").history()
    assert [found[0].at_ms, len(found), found[-1].at_ms] == [KEPT + 2, KEPT, 3]
    client.lpush(KEYS.alert_history, "", "1", "9 {", b"\xff [] ", '7 {"rule": 1}')
    assert len(AlertStore(client, "jobd").history()) == KEPT - 5


def test_a_mute_holds_in_a_full_store(client: Client) -> None:
    """That is when one wants to."""
    client.set("filler", b"x" * 4_000_000)
    client.config_set("maxmemory", "1")

    until = AlertStore(client, "jobd").mute("r", 60_000)

    assert AlertStore(client, "jobd").mutes() == {"r": until}


def test_without_a_sink_nothing_is_kept_for_anybody(client: Client) -> None:
    """The state moves all the same."""
    store = AlertStore(client, "jobd")

    assert store.move([Move("r", b"", firing("q"), note(1), [])]) == ["moved"]

    assert client.exists(KEYS.alert_notes, KEYS.alert_due) == 0


def test_a_full_store_takes_no_alert_away(client: Client) -> None:
    """States and notifications are written at maxmemory too, and turns are given to all."""
    store = AlertStore(client, "jobd")
    client.set("filler", b"x" * 4_000_000)
    client.config_set("maxmemory", "1")

    turn = store.take_turn(["r"], 60_000)
    assert turn.rules == ["r"]
    assert store.move([Move("r", b"", firing("q"), note(1), ["hook"])]) == ["moved"]

    client.config_set("maxmemory", "0")
    assert client.hlen(KEYS.alert_notes) == 1


def test_turns_are_taken_and_pass(client: Client) -> None:
    """One of two has it, for a period; then anybody."""
    first, second = AlertStore(client, "jobd"), AlertStore(client, "jobd")

    assert first.take_turn(["a", "b"], 60_000).rules == ["a", "b"]
    assert second.take_turn(["a", "b", "c"], 60_000).rules == ["c"]
    client.delete(KEYS.alert_turn_prefix + "a")
    assert second.take_turn(["a", "b"], 60_000).rules == ["a"]


def test_rules_that_nobody_has_any_more_go(client: Client) -> None:
    """After ten minutes; not those that this host has, nor those another looked at lately."""
    store = AlertStore(client, "jobd")
    now = 10_000_000
    for rule, looked in (("mine", 0), ("old", now - 600_001), ("new", now - 599_000)):
        store.move([Move(rule, b"", firing("q", looked_ms=looked))])
    client.hset(KEYS.alert_mutes, mapping={"x": str(now - 1), "y": str(now + 1)})

    assert store.abandoned(["mine"], now).keys() == {"old"}
    store.drop_mutes(now)

    assert client.hkeys(KEYS.alert_mutes) == [b"y"]


def test_whatever_a_stranger_wrote_is_replaced(client: Client) -> None:
    """A state that is none counts as none; a key of another type is named."""
    store = AlertStore(client, "jobd")
    client.hset(KEYS.alert_states, "r", "nonsense")
    held = store.hold(["r"])["r"]

    assert held.state == RuleState()
    assert store.move([Move("r", held.raw, firing("q"))]) == ["moved"]


def test_a_reset_is_noted_once(client: Client) -> None:
    """Of several hosts who notice the first one counts; a loss in the same life is another one."""
    store = AlertStore(client, "jobd")
    client.set(KEYS.epoch, "b")
    store.note_reset("b", 1000)
    store.note_reset("b", 2000)

    assert store.life(1)[:2] == ("b", 1000)
    store.note_reset("b", 3000, again=True)
    assert store.life(1)[:2] == ("b", 3000)
    store.note_reset("c", 4000)
    assert store.life(1)[:2] == ("b", 4000)


def test_the_mark_of_a_look_only_grows(client: Client) -> None:
    """A host whose turn was long ago, or a clock that is behind, does not set it back."""
    store = AlertStore(client, "jobd")

    assert store.life(1000)[2:] == (0, 1000)
    assert store.life(3000)[2:] == (1000, 3000)
    assert store.life(2000)[2:] == (3000, 3000)
    client.set("filler", b"x" * 4_000_000)
    client.config_set("maxmemory", "1")
    assert store.life(4000)[2:] == (3000, 3000)


def test_evaluators_that_race_tell_each_transition_once(client: Client) -> None:
    """Six at once, without turns: what is told of each instance is firing and resolved in turn."""
    level, lock, rounds = [0], threading.Lock(), 150
    place = client.connection_pool.connection_kwargs
    url = (
        f"unix://{place['path']}" if "path" in place else f"redis://{place['host']}:{place['port']}"
    )

    def evaluate(seed: int) -> None:
        mine = connect(url)
        store = AlertStore(mine, "jobd")
        for turn in range(rounds):
            if seed == 0 and turn % 10 == 0:
                with lock:
                    level[0] = 20 - level[0]
            held = store.hold(["r"])["r"]
            facts = Facts(at_ms=held.state.looked_ms + 500, queues={"q": QueueFacts(due=level[0])})
            after, told = judge(
                RULE,
                held.state,
                facts,
                sinks=["hook"],
                muted=False,
                spans=Spans(clear_for=1000, gap=10_000),
            )
            note = told and notification(
                RULE, told, note_id=uuid7(facts.at_ms, seed << 20 | turn), at_ms=facts.at_ms,
                namespace="jobd",
            )  # fmt: skip
            after = msgspec.structs.replace(after, looked_ms=facts.at_ms)
            store.move([Move("r", held.raw, after, note, ["hook"])])
        mine.close()

    threads = [threading.Thread(target=evaluate, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    notes = [
        msgspec.json.decode(raw.partition(b"\n")[2], type=Notification)
        for raw in client.hvals(KEYS.alert_notes)  # type: ignore[union-attr]
    ]
    told = [each.status for each in sorted(notes, key=lambda each: each.at_ms)]
    assert told[:2] == ["firing", "resolved"]
    assert len(told) >= 4
    assert all(a != b for a, b in pairwise(told))


def test_the_script_says_what_it_is() -> None:
    """Its contract."""
    assert SCRIPTS["alert_move"].replay.startswith("the state is not `before` any more")
