"""The outbox in Redis: leases, lines, bounds, and what a full store or a stranger does to it (I-48)."""

from __future__ import annotations

import threading

import pytest
from support.notes import AT, a_note

from jobd.broker.alert_outbox import RedisOutbox
from jobd.broker.connection import Client
from jobd.core.alerts.delivery import KEPT, LEASE, MOST, Delivery
from jobd.core.errors import BrokerError

BOX = ("due", "notes", "order", "tries", "counts")
LEASE_MS = round(LEASE * 1000)


def box(client: Client, now: int | None = AT) -> RedisOutbox:
    return RedisOutbox(client, "t", now=now)


def ids(taken: list[Delivery]) -> list[str]:
    return [each.id for each in taken]


def dump(client: Client) -> dict[bytes, object]:
    return {key: client.dump(key) for key in sorted(client.keys("*"))}


def test_what_was_put_in_is_taken_as_it_was(client: Client) -> None:
    note = a_note(host="web1", summary="ümläut\n<b>")
    assert box(client).add(note, ["ops", "a sink"]) == 0

    [first] = box(client, AT + 7000).take(["ops"])
    assert (first.notification, first.sink, first.tries, first.waited) == (note, "ops", 1, 7.0)
    assert box(client, AT + 7000).take(["ops"], 9) == []
    [second] = box(client, AT + 7000).take(["other", "a sink"], 9)
    assert (second.id, second.sink) == (note.id, "a sink")


def test_what_is_told_leaves_nothing_behind(client: Client) -> None:
    b = box(client)
    b.add(a_note(), ["ops", "pager"])
    one, two = b.take(["ops", "pager"], 2)
    b.done(one)
    assert client.hlen("t:{:alerts}:notes") == 1
    b.give_up(two)
    b.done(one)

    assert client.keys("*") == [b"t:{:alerts}:counts"]
    assert b.counts() == {"sent": 1, "given_up": 1, "dropped": 0, "waiting": 0}


def test_taken_is_leased_and_comes_back_with_the_same_id(client: Client) -> None:
    """Whoever took it may have died."""
    box(client).add(a_note(), ["ops"])
    [first] = box(client).take(["ops"])
    assert box(client, AT + LEASE_MS - 1).take(["ops"]) == []
    [again] = box(client, AT + LEASE_MS).take(["ops"])
    assert (again.id, again.tries) == (first.id, 2)


def test_a_failure_puts_it_off_by_redis_clock(client: Client) -> None:
    b = box(client)
    b.add(a_note(), ["ops"])
    [tried] = b.take(["ops"])
    b.again(tried, 2.5)
    assert box(client, AT + 2499).take(["ops"]) == []
    assert [each.tries for each in box(client, AT + 2500).take(["ops"])] == [2]


def test_a_late_word_of_a_sender_whose_lease_is_over_puts_nothing_off(client: Client) -> None:
    box(client).add(a_note(), ["ops"])
    [late] = box(client).take(["ops"])
    later = box(client, AT + LEASE_MS)
    [now] = later.take(["ops"])
    due = client.zscore("t:{:alerts}:due", f"{now.id} ops")
    later.again(late, 3600)
    assert client.zscore("t:{:alerts}:due", f"{now.id} ops") == due
    later.done(late)  # told is told, whoever did
    later.again(now, 1)
    assert box(client, AT + 10**9).take(["ops"]) == []


def test_a_rules_next_word_waits_for_the_one_before(client: Client) -> None:
    """Of each sink and rule; another rule's, and another sink's, do not wait."""
    b = box(client)
    b.add(a_note(1), ["ops", "pager"])
    b.add(a_note(2, status="resolved"), ["ops", "pager"])
    b.add(a_note(3, rule="other"), ["ops"])

    taken = b.take(["ops"], 9)
    assert ids(taken) == [a_note(1).id, a_note(3).id]
    b.again(taken[0], 5)
    assert b.take(["ops"], 9) == []
    [paged] = b.take(["pager"], 9)
    b.done(paged)
    assert ids(b.take(["pager"], 9)) == [a_note(2).id]

    b.give_up(box(client, AT + 5000).take(["ops"])[0])
    assert ids(b.take(["ops"], 9)) == [a_note(2).id]


def test_order_is_that_of_coming_in_whatever_the_ids_say(client: Client) -> None:
    """They are made by hosts, whose clocks differ."""
    b = box(client)
    for n in (5, 3, 4):
        b.add(a_note(n), ["ops"])
    told = []
    while taken := b.take(["ops"], 9):
        told += ids(taken)
        b.done(taken[0])
    assert told == [a_note(n).id for n in (5, 3, 4)]


def test_adding_again_changes_nothing(client: Client) -> None:
    b = box(client)
    b.add(a_note(), ["ops"])
    b.take(["ops"])
    before = dump(client)
    assert b.add(a_note(), ["ops"]) == 0
    assert dump(client) == before


def test_it_is_bounded_and_counts_what_it_drops(client: Client) -> None:
    b = box(client)
    dropped = sum(b.add(a_note(n, rule=f"r{n % 7}"), ["ops", "pager"]) for n in range(MOST + 50))

    assert dropped == 100
    assert b.counts()["dropped"] == 100
    assert client.hlen("t:{:alerts}:notes") == MOST
    told = []
    while taken := b.take(["ops"], 100):
        for each in taken:
            b.done(each)
            told.append(each.notification)
    assert sorted(note.at_ms - AT for note in told if note) == list(range(50, MOST + 50))
    for n in range(7):
        times = [note.at_ms for note in told if note and note.rule == f"r{n}"]
        assert times == sorted(times)


def test_what_is_for_a_sink_that_nobody_has_goes_after_two_days(client: Client) -> None:
    b = box(client)
    b.add(a_note(1), ["gone", "ops"])
    b.done(b.take(["ops"])[0])
    assert box(client, AT + round(KEPT * 1000)).take(["ops"]) == []
    assert b.counts()["waiting"] == 1
    assert box(client, AT + round(KEPT * 1000) + 1).take(["ops"]) == []
    assert b.counts() == {"sent": 1, "given_up": 0, "dropped": 1, "waiting": 0}
    assert client.keys("*") == [b"t:{:alerts}:counts"]


def test_a_full_store_takes_and_tells_all_the_same(client: Client) -> None:
    """That memory is short is what people are to be told."""
    b = box(client)
    client.config_set("maxmemory", "1")
    b.add(a_note(1), ["ops"])
    b.add(a_note(2), ["ops"])
    b.done(b.take(["ops"])[0])
    [second] = b.take(["ops"])
    b.again(second, 0)
    b.give_up(b.take(["ops"])[0])
    client.config_set("maxmemory", "0")
    assert b.counts() == {"sent": 1, "given_up": 1, "dropped": 0, "waiting": 0}


@pytest.mark.parametrize("key", BOX)
def test_a_key_of_another_type_stops_a_script_before_its_first_write(
    client: Client, key: str
) -> None:
    for call in ("add", "take", "again", "done"):
        client.flushall()
        b = box(client)
        for n in (1, 2):
            b.add(a_note(n), ["ops"])
        [taken] = b.take(["ops"])
        client.delete(f"t:{{:alerts}}:{key}")
        client.set(f"t:{{:alerts}}:{key}", "another type")
        before = dump(client)
        calls = {
            "add": lambda b=b: b.add(a_note(3), ["ops"]),
            "take": lambda: box(client, AT + LEASE_MS).take(["ops"]),
            "again": lambda b=b, taken=taken: b.again(taken, 1),
            "done": lambda b=b, taken=taken: b.done(taken),
        }
        if call == "again" and key not in ("due", "tries"):
            continue
        with pytest.raises(BrokerError, match=r"JOBDTYPE|WRONGTYPE"):
            calls[call]()
        assert dump(client) == before, (key, call)


def test_what_a_stranger_did_to_the_box_blocks_no_line(client: Client) -> None:
    b = box(client)
    b.add(a_note(1), ["ops"])
    b.add(a_note(2), ["ops"])
    client.hdel("t:{:alerts}:notes", a_note(1).id)
    client.zadd("t:{:alerts}:due", {"garbage": 0, b"\xff ops": 0})
    assert b.take(["ops"], 9) == []  # the first cannot be told; it is passed over
    [second] = b.take(["ops"], 9)
    assert second.id == a_note(2).id
    client.hset("t:{:alerts}:notes", a_note(2).id, "email backlog\n{half")
    [unread] = box(client, AT + LEASE_MS).take(["ops"])
    assert unread.notification is None
    b.give_up(unread)
    client.set("t:{:alerts}:line:ops\nemail backlog", "another type")
    b.add(a_note(3), ["ops"])
    [third] = b.take(["ops"], 9)
    b.done(third)
    assert client.keys("*") == [b"t:{:alerts}:counts"]
    assert b.counts()["dropped"] >= 1


def test_two_senders_on_one_box_tell_each_once(client: Client) -> None:
    """n = 500, two sinks, by Redis' own clock."""
    for n in range(500):
        box(client, None).add(a_note(n, rule=f"r{n % 50}"), ["ops", "pager"])
    told: list[tuple[str, str]] = []

    def send() -> None:
        mine = box(client, None)
        while taken := mine.take(["ops", "pager"], 3):
            for each in taken:
                told.append((each.id, each.sink))
                mine.done(each)

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rest = box(client, None)
    while rest.counts()["waiting"]:  # a thread may have looked while the other held every head
        for each in rest.take(["ops", "pager"], 50):
            told.append((each.id, each.sink))
            rest.done(each)
    assert len(told) == len(set(told)) == 1000
