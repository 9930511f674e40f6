"""A channel: whole messages, in order, and never more memory than its limit."""

from __future__ import annotations

import os
import socket

import pytest
from hypothesis import given, settings
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


@pytest.mark.parametrize("said", [b"not json", b"\xff", b"[" * 3000, b'{"a":' * 3000])
def test_a_peer_that_speaks_nonsense_is_gone(said: bytes) -> None:
    raw, socket_ = socket.socketpair()
    lines = Lines(socket_)
    raw.send(said + b"\n")
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


@settings(max_examples=40)
@given(messages=st.lists(st.tuples(st.integers(0, 300_000), st.booleans()), max_size=6))
def test_descriptors_arrive_in_the_order_of_their_messages(
    messages: list[tuple[int, bool]],
) -> None:
    """Whatever waits for the peer to read, and wherever a message is cut."""
    ours, socket_ = pair()
    theirs = Lines(socket_, takes_fds=True)
    sent, arrived = [], []
    for size, with_fd in messages:
        fd = os.memfd_create("x") if with_fd else None
        sent.append((size, None if fd is None else os.fstat(fd).st_ino))
        assert ours.send([size, with_fd, "x" * size], fd)
    while len(arrived) < len(messages):
        ours.flush()
        for size, with_fd, _ in theirs.receive():  # type: ignore[misc, attr-defined]
            fd = theirs.fds.popleft() if with_fd else None
            arrived.append((size, None if fd is None else os.fstat(fd).st_ino))
            if fd is not None:
                os.close(fd)

    assert arrived == sent
    assert not theirs.fds
    ours.close()
    theirs.close()


def open_fds() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def test_a_descriptor_nobody_can_have_is_closed() -> None:
    """Gone before it was sent, not taken out, refused: none of the three is kept."""
    before = open_fds()
    ours, socket_ = pair()
    theirs = Lines(socket_, takes_fds=True)
    assert ours.send("taken along", os.dup(0))
    assert theirs.receive() == ["taken along"]
    while ours.send("x" * 100_000):
        pass
    assert not ours.send("refused", os.dup(0))
    theirs.close()
    assert not ours.send("too late", os.dup(0))
    ours.close()

    assert open_fds() == before
