"""Sessions and tries on a real server: when they end, what they keep, and what a full server does."""

from __future__ import annotations

from contextlib import suppress

import pytest

from jobd.broker import acl, logins
from jobd.broker.connection import Client, connect
from jobd.broker.keys import SharedKeys
from jobd.broker.logins import OF_ADDRESS, OF_USER, Tries
from jobd.broker.sessions import MOST_OF_A_USER, Session, Sessions, digest
from jobd.core.errors import NotPermitted

NOW = 1_800_000_000_000
IDLE, LONGEST = 60_000, 600_000
KEYS = SharedKeys("t")


def sessions(client: Client, now: int | None = NOW) -> Sessions:
    return Sessions(client, "t", idle_ms=IDLE, longest_ms=LONGEST, now=now)


def dump(client: Client) -> bytes:
    """All there is in Redis, as text."""
    found = b""
    for key in sorted(client.keys("*")):
        kind = client.type(key)
        value = client.hgetall(key) if kind == b"hash" else client.zrange(key, 0, -1)
        found += key + repr(value).encode()
    return found


def test_a_session_is_known_by_its_token_which_is_not_in_redis(client: Client) -> None:
    s = sessions(client)
    s.open("tok", "ops", "pw")
    assert s.look("tok") == Session("ops", "pw", LONGEST)
    assert s.look("token") is s.look("") is s.look(digest("tok")) is None
    assert b"tok" not in dump(client)
    assert all(0 < client.pttl(key) <= LONGEST for key in client.keys("t:{:web}:session*"))


def test_a_session_that_is_used_lasts_until_its_age_and_one_that_is_not_ends(
    client: Client,
) -> None:
    s = sessions(client)
    s.open("used", "ops", "pw")
    s.open("left", "ops", "pw")
    for passed in range(IDLE - 1, LONGEST, IDLE - 1):
        s.now = NOW + passed
        assert s.look("used") == Session("ops", "pw", LONGEST - passed)
    s.now = NOW + LONGEST
    assert s.look("used") is None
    s.now = NOW + IDLE
    assert s.look("left") is None
    s.now = NOW  # an ended one does not come back, whatever the clock does
    assert s.look("left") is s.look("used") is None


def test_a_look_of_nobody_keeps_no_session(client: Client) -> None:
    s = sessions(client)
    s.open("a", "ops", "pw")
    s.now = NOW + IDLE - 1
    assert s.look("a", touch=False) is not None
    s.now = NOW + IDLE
    assert s.look("a") is None


def test_logging_out_ends_this_session_or_all_of_the_user(client: Client) -> None:
    s = sessions(client)
    for token, user in (("a", "ops"), ("b", "ops"), ("c", "ops"), ("d", "eva")):
        s.open(token, user, "pw")
    assert s.close("a", "ops")
    assert not s.close("a", "ops")
    assert (s.look("a"), s.look("b") is not None) == (None, True)
    assert s.close_all("ops") == 2
    assert (s.look("b"), s.look("c"), s.look("d") is not None) == (None, None, True)


def test_a_user_has_so_many_sessions_and_the_oldest_makes_room(client: Client) -> None:
    s = sessions(client)
    for number in range(MOST_OF_A_USER + 3):
        s.now = NOW + number
        s.open(str(number), "ops", "pw")
    alive = [s.look(str(number)) is not None for number in range(MOST_OF_A_USER + 3)]
    assert alive == [False] * 3 + [True] * MOST_OF_A_USER
    assert len(client.keys("t:{:web}:session:*")) == MOST_OF_A_USER


@pytest.mark.parametrize(
    "wrong", [{"user": "ops"}, {"user": "o", "password": "p", "made": "x", "seen": "1"}]
)
def test_what_cannot_be_read_is_no_session(client: Client, wrong: dict[str, str]) -> None:
    client.hset(KEYS.web_session_prefix + digest("a"), mapping=wrong)
    client.set(KEYS.web_session_prefix + digest("b"), "text")
    assert sessions(client).look("a") is sessions(client).look("b") is None


def test_an_address_has_its_tries_and_then_one_at_a_time(client: Client) -> None:
    t = Tries(client, "t", now=NOW)
    assert [t.charge(f"user{n}", "1.2.3.4").wait_ms for n in range(OF_ADDRESS.burst)] == [0] * 10
    assert t.charge("another", "1.2.3.4").wait_ms == OF_ADDRESS.every_ms
    assert t.charge("another", "1.2.3.5").wait_ms == 0
    t.now = NOW + OF_ADDRESS.every_ms
    assert t.charge("another", "1.2.3.4").wait_ms == 0
    assert t.charge("another", "1.2.3.4").wait_ms == OF_ADDRESS.every_ms


@pytest.mark.parametrize("user", ["ops", "nobody\x00" * 1000])
def test_a_user_has_tries_over_all_addresses_whether_there_is_one_or_not(
    client: Client, user: str
) -> None:
    t = Tries(client, "t", now=NOW)
    waits = [t.charge(user, f"10.0.0.{n}").wait_ms for n in range(OF_USER.burst + 1)]
    assert waits == [0] * OF_USER.burst + [OF_USER.every_ms]
    assert len(dump(client)) < 5000


def test_strangers_cannot_keep_a_user_out_who_was_there_before(client: Client) -> None:
    t = Tries(client, "t", now=NOW)
    t.succeeded(t.charge("ops", "home"))
    for n in range(OF_USER.burst + 1):
        t.charge("ops", f"10.0.0.{n}")
    assert t.charge("ops", "10.1.0.1").wait_ms > 0
    assert t.charge("ops", "home").wait_ms == 0
    # Who is known guesses no more than a stranger does.
    assert [t.charge("ops", "home").wait_ms > 0 for _ in range(OF_ADDRESS.burst)].count(False) == 9
    t.now = NOW + logins.KNOWN_FOR_MS + 1
    for n in range(OF_USER.burst):
        t.charge("ops", f"10.0.0.{n}")
    assert t.charge("ops", "home").wait_ms > 0


def test_a_right_password_gives_its_own_try_back_and_no_other(client: Client) -> None:
    t = Tries(client, "t", now=NOW)
    for _ in range(50):
        t.succeeded(t.charge("mine", "home"))
    for _ in range(OF_ADDRESS.burst - 1):
        assert t.charge("ops", "home").wait_ms == 0
        t.succeeded(t.charge("mine", "home"))
    assert t.charge("ops", "home").wait_ms == 0
    assert t.charge("ops", "home").wait_ms > 0


def test_tries_take_bounded_memory_and_what_is_used_up_stays(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logins, "MOST_KEPT", 20)
    t = Tries(client, "t", now=NOW)
    for _ in range(OF_ADDRESS.burst):
        t.charge("ops", "bad")
    for n in range(100):
        t.succeeded(t.charge(f"u{n}", f"10.0.0.{n}"))
        t.charge(f"u{n}", f"10.0.0.{n}")
    assert client.zcard(KEYS.web_tries) <= 20
    assert client.zcard(KEYS.web_known) <= 20
    assert t.charge("other", "bad").wait_ms > 0
    t.now = NOW + 3_600_000
    t.charge("ops", "bad")
    assert client.zcard(KEYS.web_tries) == 2


def test_what_is_said_again_after_a_lost_reply_is_harmless(client: Client) -> None:
    """As the REPLAY lines promise: at worst a try less is allowed, or one is given back twice."""
    s, t = sessions(client), Tries(client, "t", now=NOW)
    for _ in range(2):
        s.open("a", "ops", "pw")
    assert client.zcard(KEYS.web_sessions_prefix + "ops") == 1
    assert s.look("a") == s.look("a") == Session("ops", "pw", LONGEST)
    assert [s.close("a", "ops"), s.close("a", "ops")] == [True, False]
    first, second = t.charge("ops", "home"), t.charge("ops", "home")
    assert first == second
    t.succeeded(first)
    t.succeeded(first)
    assert client.zscore(KEYS.web_tries, first.charged[0]) == NOW
    waits = [t.charge("ops", "home").wait_ms for _ in range(OF_ADDRESS.burst + 1)]
    assert waits == [0] * OF_ADDRESS.burst + [OF_ADDRESS.every_ms]
    for _ in range(3):
        t.succeeded(first)  # given back more often than charged
    assert t.charge("ops", "home").wait_ms == 0


def test_people_log_in_while_the_server_is_full(client: Client) -> None:
    s, t = sessions(client, None), Tries(client, "t")
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", "1")
    try:
        with suppress(Exception):
            client.set("x", "y")
        assert client.get("x") is None  # it is full
        t.succeeded(t.charge("ops", "home"))
        s.open("a", "ops", "pw")
        assert s.look("a") is not None
        assert s.close("a", "ops")
    finally:
        client.config_set("maxmemory", "0")


def test_a_daemons_user_may_do_all_of_it(client: Client) -> None:
    """And who may only look at queues cannot open a session."""
    kwargs = client.connection_pool.connection_kwargs
    for role in ("daemon", "monitor"):
        rule = acl.rule(role, "t", before_setinfo=True)  # type: ignore[arg-type]
        client.execute_command("ACL SETUSER", f"t-{role}", *rule, ">s")
    try:
        daemon = connect(f"unix://t-daemon:s@{kwargs['path']}")
        s, t = sessions(daemon), Tries(daemon, "t", now=NOW)
        t.succeeded(t.charge("ops", "home"))
        s.open("a", "ops", "pw")
        assert s.look("a") is not None
        assert s.close_all("ops") == 1
        with pytest.raises(NotPermitted):
            sessions(connect(f"unix://t-monitor:s@{kwargs['path']}")).open("a", "ops", "pw")
    finally:
        client.execute_command("ACL DELUSER", "t-daemon", "t-monitor")
