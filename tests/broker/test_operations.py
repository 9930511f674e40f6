"""Operations as all processes see them: what was said last, who wants them to stop, and no more of them
than there may be."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from jobd.broker.connection import Client
from jobd.broker.keys import SharedKeys
from jobd.broker.operations import KEEP_MS, KEPT, LOST_AFTER_MS, OperationWords, Said
from jobd.core.errors import BrokerError

NOW = 1_800_000_000_000
KEYS = SharedKeys("t")


def words(client: Client, now: int | None = NOW) -> OperationWords:
    return OperationWords(client, "t", now=now)


def test_what_was_said_last_is_read_newest_first(client: Client) -> None:
    mine = words(client)
    assert mine.all() == []
    mine.say("a", b"1", ended=False)
    mine.say("b", b"2", ended=False)
    mine.say("a", b"\xff {3}", ended=True)
    mine.now = NOW + 5
    assert mine.all() == [
        Said("b", b"2", NOW, 5, ended=False, stop=False),
        Said("a", b"\xff {3}", NOW, 5, ended=True, stop=False),
    ]
    assert mine.get("b") == mine.all()[0]
    assert mine.get("c") is None


def test_who_wants_it_to_stop_is_heard_with_the_next_word(client: Client) -> None:
    mine, theirs = words(client), words(client)
    assert not theirs.stop("a")
    assert not mine.say("a", b"", ended=False)
    assert theirs.stop("a")
    assert theirs.stop("a")
    assert [said.stop for said in theirs.all()] == [True]
    assert mine.say("a", b"", ended=False)
    mine.say("a", b"", ended=True)
    assert theirs.stop("a")
    assert client.zcard(KEYS.web_operation_stops) == 0
    found = theirs.get("a")
    assert found is not None
    assert not found.stop


def test_one_is_lost_when_nobody_has_said_anything_for_long(client: Client) -> None:
    mine = words(client)
    mine.say("runs", b"", ended=False)
    mine.say("ended", b"", ended=True)

    def lost(later: int) -> set[str]:
        return {said.id for said in words(client, NOW + later).all() if said.is_lost}

    assert lost(LOST_AFTER_MS) == set()
    assert lost(LOST_AFTER_MS + 1) == {"runs"}
    assert words(client, NOW - 1).get("runs") is not None
    mine.now = NOW + LOST_AFTER_MS + 1
    mine.say("runs", b"", ended=False)
    assert lost(LOST_AFTER_MS + 1) == set()


def test_of_too_many_those_that_have_ended_or_are_lost_make_room_the_oldest_first(
    client: Client,
) -> None:
    old, mine = words(client, NOW - LOST_AFTER_MS - 1), words(client)
    old.say("0-lost", b"", ended=False)
    old.stop("0-lost")
    mine.say("0-runs", b"", ended=False)
    for n in range(KEPT - 2):
        mine.say(f"1-{n:03}", b"", ended=True)
    assert len(mine.all()) == KEPT
    mine.say("2", b"", ended=False)
    assert "0-lost" not in {said.id for said in mine.all()}
    assert client.zcard(KEYS.web_operation_stops) == 0
    mine.say("3", b"", ended=False)
    found = {said.id for said in mine.all()}
    assert len(found) == KEPT
    assert {"0-runs", "2", "3"} <= found
    assert "1-000" not in found
    for n in range(2 * KEPT):
        mine.say(f"4-{n:03}", b"", ended=False)
    assert len(mine.all()) == KEPT
    assert mine.get(f"4-{2 * KEPT - 1:03}") is not None


def test_nothing_is_kept_for_ever(client: Client) -> None:
    mine = words(client)
    mine.say("a", b"", ended=False)
    mine.stop("a")
    for key in (KEYS.web_operations, KEYS.web_operation_stops):
        assert 0 < client.pttl(key) <= KEEP_MS
    late = words(client, NOW + KEEP_MS + 1)
    assert (late.all(), late.get("a")) == ([], None)


def test_what_a_stranger_wrote_is_no_operation_and_in_nobodys_way(client: Client) -> None:
    for n, raw in enumerate((b"", b"1", b"x r {}", b"1 x {}", b"9" * 40 + b" r {}", b"\xff\0")):
        client.hset(KEYS.web_operations, f"s{n}", raw)
    client.hset(KEYS.web_operations, b"\xff no name", b"1 r {}")
    client.zadd(KEYS.web_operation_stops, {b"\xff": 1})
    mine = words(client)
    assert mine.all() == []
    assert mine.get("s3") is None
    for n in range(KEPT):
        mine.say(f"t{n}", b"", ended=False)
    assert len(mine.all()) == KEPT


@pytest.mark.parametrize("key", [KEYS.web_operations, KEYS.web_operation_stops])
@pytest.mark.parametrize(
    "call",
    [
        lambda it: it.say("a", b"", ended=False),
        lambda it: it.stop("a"),
        lambda it: it.all(),
        lambda it: it.get("a"),
    ],
)
def test_a_key_of_another_type_is_an_error_and_is_left_as_it_is(
    client: Client, key: str, call: Callable[[OperationWords], object]
) -> None:
    client.set(key, "x")
    with pytest.raises(BrokerError):
        call(words(client))
    assert client.keys() == [key.encode()]
    assert client.get(key) == b"x"


def test_a_full_server_is_told_all_the_same(client: Client) -> None:
    """Whoever purges to make room sees how far that is, and can stop it."""
    mine = words(client)
    mine.say("a", b"", ended=False)
    client.config_set("maxmemory", 1)
    mine.say("a", b"further", ended=False)
    assert mine.stop("a")
    found = mine.get("a")
    assert found is not None
    assert (found.document, found.stop) == (b"further", True)


def test_a_call_that_is_repeated_does_what_it_did(client: Client) -> None:
    """As the REPLAY lines promise."""
    mine = words(client)
    calls: list[Callable[[], object]] = [
        lambda: mine.say("a", b"1", ended=False),
        lambda: mine.stop("a"),
        lambda: mine.say("a", b"2", ended=True),
    ]
    for call in calls:
        call()
        before = [client.dump(KEYS.web_operations), client.dump(KEYS.web_operation_stops)]
        call()
        assert before == [client.dump(KEYS.web_operations), client.dump(KEYS.web_operation_stops)]
