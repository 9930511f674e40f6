"""One call at a time on idle links: threads, forks, and servers that hang up."""

from __future__ import annotations

import contextlib
import os
import random
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.servers import eventually

from jobd import BrokerUnavailable, Jobd
from jobd.broker.calls import Calls
from jobd.broker.connection import Client, connect


@pytest.fixture
def calls(redis_url: str) -> Calls:
    return Calls(connect(redis_url, timeout=0.5))


def test_calls_one_after_another_use_one_link(calls: Calls) -> None:
    """A connection a call would cost more than the call."""
    assert len({calls.run(["CLIENT", "ID"]) for _ in range(20)}) == 1


def test_threads_never_share_a_link(calls: Calls) -> None:
    """Each gets its own reply, whoever else is calling."""
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda n: calls.run(["ECHO", str(n)]), range(4000)))

    assert replies == [str(n).encode() for n in range(4000)]


def test_a_link_does_not_cross_a_fork(calls: Calls) -> None:
    """Two processes on one socket would read each other's replies."""
    ours = calls.run(["CLIENT", "ID"])
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.write(writer, str(calls.run(["CLIENT", "ID"])).encode())
        finally:
            os._exit(0)
    os.close(writer)
    theirs = int(os.read(reader, 100))
    os.close(reader)
    os.waitpid(child, 0)

    assert theirs != ours
    assert calls.run(["CLIENT", "ID"]) == ours  # the child's end did not shut our socket


def test_a_link_the_server_closed_meanwhile_costs_nobody_a_job(
    calls: Calls, redis_url: str
) -> None:
    """Idle time-outs and restarts are no reason for "outcome unknown"."""
    first = calls.run(["CLIENT", "ID"])
    other = connect(redis_url)
    other.client_kill_filter(_id=str(first))

    assert calls.run(["CLIENT", "ID"]) != first
    other.close()


def test_a_late_reply_is_not_taken_for_the_next_one(calls: Calls, redis_url: str) -> None:
    """After a time-out the link is gone, with whatever still comes on it."""
    other = connect(redis_url)
    calls.run(["PING"])
    other.execute_command("CLIENT", "PAUSE", "700", "ALL")
    with pytest.raises(BrokerUnavailable) as failed:
        calls.run(["ECHO", "late"])
    assert failed.value.outcome_unknown

    def answers() -> bool:
        try:
            return bool(calls.run(["ECHO", "next"]) == b"next")
        except BrokerUnavailable:
            return False

    eventually(answers)
    other.close()


def test_a_refused_connection_is_a_known_outcome() -> None:
    """Nothing was sent."""
    with pytest.raises(BrokerUnavailable) as failed:
        Calls(connect("redis://127.0.0.1:1/0")).run(["PING"])
    assert not failed.value.outcome_unknown


def test_a_connection_that_does_not_come_about_in_time_is_a_known_outcome() -> None:
    """The network swallows it, or the server takes on nobody: nothing was sent either."""
    with contextlib.ExitStack() as opened:
        full = opened.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        client = connect(f"redis://127.0.0.1:{full.getsockname()[1]}/0", timeout=0.2)
        with pytest.raises(BrokerUnavailable, match="in time") as failed:
            Calls(client).run(["PING"])
    assert not failed.value.outcome_unknown


def test_a_script_that_redis_forgot_is_loaded_again(client: Client, redis_url: str) -> None:
    """SCRIPT FLUSH, or another server behind the same name."""
    queue = Jobd(redis_url).queue("q")
    connection = connect(redis_url)
    for _ in range(2):
        connection.script_flush()
        assert queue.add("t", {}).outcome == "enqueued"
    connection.close()


def test_ids_do_not_follow_the_seed_of_the_application(redis_url: str) -> None:
    """Processes that seed `random` alike would make each other's jobs duplicates."""
    ids = set()
    for _ in range(20):
        random.seed(42)
        ids.add(Jobd(redis_url).queue("q").add("t", {}).id.partition("-")[2][5:])

    assert len(ids) == 20
