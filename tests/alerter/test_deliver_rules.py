"""Decisions of sending, without a network: what an answer means, when to try again, where not to go."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.alerter.address import NoAddress, Resolver
from jobd.core.alerts.addresses import why_refused
from jobd.core.alerts.sending import (
    FIRST_PAUSE,
    GIVEN_UP_AFTER,
    LONGEST_ASKED,
    LONGEST_PAUSE,
    REJECTED_FOR,
    Refused,
    Sent,
    judge,
    pause_before,
    read_retry_after,
)

NOW = 1_800_000_000.0
HOWS = st.sampled_from(["failed", "rejected"])


def answer(status: int, **said: str) -> Sent | Refused:
    facts: dict[str, str | None] = {"retry_after": None, "date": None, "location": None}
    return judge(status, **(facts | said), now=NOW)


def http_date(at: float) -> str:
    return format_datetime(datetime.fromtimestamp(at, UTC), usegmt=True)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_taken(status: int) -> None:
    assert answer(status) == Sent(status)


@pytest.mark.parametrize(
    ("status", "how"),
    [(301, "rejected"), (304, "rejected"), (307, "rejected"), (400, "rejected"), (401, "rejected"),
     (404, "rejected"), (408, "failed"), (410, "gone"), (425, "failed"), (429, "failed"),
     (499, "rejected"), (500, "failed"), (503, "failed"), (599, "failed"), (999, "failed"), (100, "failed")],
)  # fmt: skip
def test_anything_else_is_not(status: int, how: str) -> None:
    said = answer(status)
    assert isinstance(said, Refused)
    assert (said.how, said.after) == (how, None)
    assert said.why.startswith(f"HTTP {status}")
    assert "expected 2xx" in said.why


def test_a_redirect_says_so_and_where_to() -> None:
    said = answer(308, location="https://elsewhere.example")
    assert isinstance(said, Refused)
    assert "a redirect to https://elsewhere.example" in said.why
    assert "not followed" in said.why


@pytest.mark.parametrize("status", [429, 503])
def test_a_pause_that_was_asked_for_is_kept(status: int) -> None:
    said = answer(status, retry_after="120")
    assert isinstance(said, Refused)
    assert said.after == 120
    for draw in (0.0, 1.0):
        pause = pause_before(said, tries=1, waited=0, draw=draw)
        assert pause is not None
        assert 120 <= pause <= 120 + FIRST_PAUSE


def test_only_429_and_503_may_ask() -> None:
    said = answer(500, retry_after="120")
    assert isinstance(said, Refused)
    assert said.after is None


@pytest.mark.parametrize(
    ("text", "date", "after"),
    [("0", None, 0), (" 7 ", None, 7), ("999999999999999", None, LONGEST_ASKED), ("-5", None, None),
     ("1.5", None, None), ("soon", None, None), ("", None, None), ("²", None, None), (None, None, None),
     (http_date(NOW + 90), None, 90), (http_date(NOW - 90), None, 0), (http_date(NOW + 10**6), None, LONGEST_ASKED),
     (http_date(NOW + 90), http_date(NOW + 60), 30), (http_date(NOW + 90), "yesterday", 90),
     ("Mon, 99 Foo 20777 99:99:99", None, None)],
)  # fmt: skip
def test_retry_after_is_read_in_both_forms(
    text: str | None, date: str | None, after: float | None
) -> None:
    """A date by the receiver's own clock, where it says that."""
    assert read_retry_after(text, date=date, now=NOW) == after


@given(st.text(), st.text() | st.none())
def test_whatever_stands_there_gives_a_bounded_pause(text: str, date: str | None) -> None:
    found = read_retry_after(text, date=date, now=NOW)
    assert found is None or 0 <= found <= LONGEST_ASKED


@given(how=HOWS, tries=st.integers(1, 10_000), waited=st.floats(0, 10**6), draw=st.floats(0, 1),
       after=st.none() | st.floats(0, LONGEST_ASKED))  # fmt: skip
def test_pauses_are_bounded_and_end(how: str, tries: int, waited: float, draw: float, after: float | None) -> None:  # fmt: skip
    refused = Refused("no", how, after)  # type: ignore[arg-type]
    pause = pause_before(refused, tries=tries, waited=waited, draw=draw)
    patience = REJECTED_FOR if how == "rejected" else GIVEN_UP_AFTER
    assert (pause is None) == (waited >= patience)
    if pause is not None:
        assert pause >= FIRST_PAUSE / 2
        assert pause <= (LONGEST_PAUSE if after is None else after + FIRST_PAUSE)
        assert after is None or pause >= after


def test_pauses_grow_from_two_seconds_to_five_minutes_and_are_drawn_from_the_upper_half() -> None:
    longest = [pause_before(Refused("no"), tries=n, waited=0, draw=1) for n in range(1, 12)]
    assert longest == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    shortest = [pause_before(Refused("no"), tries=n, waited=0, draw=0) for n in range(1, 12)]
    assert shortest == [1, 2, 4, 8, 16, 32, 64, 128, 150, 150, 150]


@pytest.mark.parametrize("text", [None, "-99999999999999999999999", "soon", "0"])
def test_a_pause_that_was_asked_for_in_no_useful_way_is_one_all_the_same(text: str | None) -> None:
    """Who has too much to do is not asked again after a tenth of a second."""
    said = judge(429, retry_after=text, date=None, location=None, now=NOW)
    assert isinstance(said, Refused)
    pause = pause_before(said, tries=1, waited=0, draw=0.0)
    assert pause is not None
    assert 1 <= pause <= 2


def test_gone_is_given_up_at_once() -> None:
    assert pause_before(Refused("no", "gone"), tries=1, waited=0, draw=0.5) is None


PUBLIC = ("1.1.1.1", "93.184.216.34", "172.32.0.1", "100.63.255.255", "100.128.0.1", "169.253.1.1",
          "2606:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1")  # fmt: skip
PRIVATE = ("127.0.0.1", "127.255.0.9", "::1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
           "100.64.0.1", "169.254.1.1", "fe80::1", "fe80::1%eth0", "fd12::1", "fc00::1", "fec0::1",
           "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::1",
           "2002:a00:1::", "::7f00:1",
           "::ffff:0:127.0.0.1", "::ffff:0:10.0.0.1")  # fmt: skip
NEVER = ("0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "239.1.1.1", "255.255.255.255", "240.0.0.1", "ff02::1",
         "169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16",
         "64:ff9b::a9fe:a9fe", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "2001:db8::1",
         "::ffff:0.0.0.0", "2001:0:a9fe:a9fe::1", "100::1", "192.0.0.192",
         "::ffff:0:169.254.169.254", "::ffff:0:224.0.0.1")  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_spoken_to(address: str) -> None:
    assert why_refused(address, allow_private=False) is None
    assert why_refused(address, allow_private=True) is None


@pytest.mark.parametrize("address", PRIVATE)
def test_private_ones_only_where_that_is_allowed(address: str) -> None:
    assert why_refused(address, allow_private=False) is not None
    assert why_refused(address, allow_private=True) is None


@pytest.mark.parametrize("address", NEVER)
def test_some_are_never_spoken_to(address: str) -> None:
    assert why_refused(address, allow_private=False) is not None
    assert why_refused(address, allow_private=True) is not None


@given(st.ip_addresses(v=4))
def test_what_the_standard_library_calls_not_global_is_refused(address: object) -> None:
    """A second opinion, which knows fewer."""
    if not address.is_global or address.is_multicast:  # type: ignore[attr-defined]
        assert why_refused(str(address), allow_private=False) is not None
        assert why_refused(f"::ffff:{address}", allow_private=False) is not None
        assert why_refused(f"::ffff:0:{address}", allow_private=False) is not None


@given(st.ip_addresses(v=6))
def test_and_so_for_ipv6(address: object) -> None:
    if not address.is_global and "::ffff" not in str(address):  # type: ignore[attr-defined]
        found = why_refused(str(address), allow_private=False)
        carried = str(address).startswith(("64:ff9b", "2002", "2001:", "::"))
        assert found is not None or carried


@pytest.mark.parametrize(
    ("addresses", "helps"),
    [
        (["127.0.0.1"], True),
        (["169.254.169.254"], False),
        (["0.0.0.0", "224.0.0.1"], False),
        (["169.254.169.254", "10.0.0.1"], True),
    ],
)
def test_a_refusal_names_the_setting_only_where_it_helps(addresses: list[str], helps: bool) -> None:
    """What nothing opens is not to be tried with it."""
    resolver = Resolver(lambda _host, _port: addresses)
    with pytest.raises(NoAddress) as refused:
        resolver.addresses("a", 443, allow_private=False, within=5.0)
    assert ("allow_private" in str(refused.value)) is helps
    assert "correct the url" in str(refused.value)
