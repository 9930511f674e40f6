"""A channel: whole messages, in order, and never more memory than its limit."""

from __future__ import annotations

import socket

from hypothesis import given
from hypothesis import strategies as st

from jobd.seams.lines import Lines, pair

JSON = st.recursive(st.none() | st.integers(-(2**53), 2**53) | st.text(), st.lists, max_leaves=5)


@given(messages=st.lists(JSON, max_size=20))
def test_messages_arrive_whole_and_in_order(messages: list[object]) -> None:
    ours, socket_ = pair()
    theirs = Lines(socket_)
    for message in messages:
        assert ours.send(message)
    assert theirs.receive() == messages
    assert not theirs.closed
    ours.close()
    assert theirs.receive() == []
    assert theirs.closed
    theirs.close()


def test_a_peer_that_does_not_read_costs_a_bounded_amount_and_loses_nothing_accepted() -> None:
    ours, socket_ = pair()
    theirs = Lines(socket_)
    accepted = 0
    while ours.send("x" * 10_000):
        accepted += 1
        assert accepted < 10_000
    assert ours.pending()
    received = 0
    while received < accepted:
        received += len(theirs.receive())
        ours.flush()
    assert received == accepted
    assert ours.send("again")
    ours.close()
    theirs.close()


def test_half_a_message_waits_for_its_other_half() -> None:
    raw, socket_ = socket.socketpair()
    lines = Lines(socket_)
    raw.send(b'{"a"')
    assert lines.receive() == []
    raw.send(b":1}\n")
    assert lines.receive() == [{"a": 1}]
    raw.close()
    lines.close()


def test_a_peer_that_speaks_nonsense_is_gone() -> None:
    raw, socket_ = socket.socketpair()
    lines = Lines(socket_)
    raw.send(b"not json\n")
    assert lines.receive() == []
    assert lines.closed
    raw.close()
    lines.close()


def test_a_gone_peer_is_noticed_when_sending() -> None:
    ours, theirs = pair()
    theirs.close()
    assert not ours.send("anybody?")
    assert ours.closed
    ours.close()
