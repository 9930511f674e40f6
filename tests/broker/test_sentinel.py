"""Sentinel: found, followed over a failover, and what is said where there is no primary."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.asyncio.retry import Retry as AsyncRetry
from redis.retry import Retry
from support.sentinels import SERVICE, Service, free_ports, program, service
from support.servers import eventually

from jobd import Jobd
from jobd.broker.connection import connect, connect_async, place_of
from jobd.broker.primary import Watch
from jobd.broker.sentinel_facts import sentinel_facts
from jobd.core.errors import BrokerError, BrokerUnavailable, StoreUnusable

pytestmark = pytest.mark.skipif(program() is None, reason="no server here that can be a sentinel")


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("sentinel"), replicas=1) as made:
        yield made


async def added_async(app: Jobd) -> str:
    """Add on an event loop; give the outcome."""
    try:
        return (await app.queue("q").aadd("t", {})).outcome
    finally:
        await app.producer.async_client.aclose()


def refused(url: str, kind: type[BrokerError], *, timeout: float = 1.0) -> str:
    """Add by thread and by event loop; give what was said, which is the same."""
    app = Jobd(url, timeout=timeout)
    said = []
    for add in (lambda: app.queue("q").add("t", {}), lambda: asyncio.run(added_async(app))):
        began = time.monotonic()
        with pytest.raises(kind) as caught:
            add()
        assert time.monotonic() - began < timeout + 20
        assert getattr(caught.value, "outcome_unknown", False) is False
        said.append(str(caught.value))
    return said[1]


def test_every_client_finds_the_primary_and_repeats_nothing(trio: Service) -> None:
    """Also those that are made for the sentinels."""
    client, looped = connect(trio.url), connect_async(trio.url)
    settings, looped_settings = (
        each.connection_pool.connection_kwargs for each in (client, looped)
    )
    for each in (settings, settings["sentinels"].settings):
        assert isinstance(each["retry"], Retry)
        assert each["retry"].get_retries() == 0
    for each in (looped_settings, looped_settings["sentinels"].settings):
        assert isinstance(each["retry"], AsyncRetry)
        assert each["retry"].get_retries() == 0
    assert client.info()["tcp_port"] == trio.primary()
    assert place_of(client).startswith(f"{SERVICE} (by Sentinel 127.0.0.1:")
    client.close()


def test_what_is_wrong_is_said(trio: Service) -> None:
    """A service nobody knows, sentinels that are away or silent, a server that is no sentinel."""
    sentinel, server = trio.sentinel_ports[0], trio.primary()
    [away] = free_ports(1)

    text = refused(f"redis+sentinel://127.0.0.1:{sentinel}/nobody", StoreUnusable)
    assert f"service 'nobody': not known to 127.0.0.1:{sentinel}; expected the name" in text
    text = refused(f"redis+sentinel://127.0.0.1:{away}/{SERVICE}", BrokerUnavailable)
    assert f"no sentinel says where '{SERVICE}' is: 127.0.0.1:{away}: " in text
    text = refused(f"redis+sentinel://127.0.0.1:{server}/{SERVICE}", StoreUnusable)
    assert "(is it a sentinel?)" in text
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        text = refused(
            f"redis+sentinel://127.0.0.1:{port}/{SERVICE}", BrokerUnavailable, timeout=0.3
        )
        assert f"127.0.0.1:{port}: " in text
        # One that is silent does not keep us from the next.
        url = f"redis+sentinel://127.0.0.1:{port},127.0.0.1:{sentinel}/{SERVICE}"
        client = connect(url, timeout=0.6)
        asked(silent)
        for times in (1, 0):  # the one that answered is asked first from then on
            client.ping()
            client.connection_pool.disconnect()
            assert asked(silent) == times


def asked(server: socket.socket) -> int:
    """Give how often somebody has connected since this was asked last."""
    server.setblocking(False)
    times = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            server.accept()[0].close()
            times += 1
    return times


def test_a_server_that_is_no_primary_gets_nothing(trio: Service, tmp_path: Path) -> None:
    """Its ROLE is asked, whatever a sentinel says; that names the replica here, for ever."""
    [replica] = [port for port in trio.server_ports if port != trio.primary()]
    [port] = free_ports(1)
    (tmp_path / "liar").mkdir()
    (tmp_path / "liar.conf").write_text(
        f"port {port}\nbind 127.0.0.1\ndir {tmp_path / 'liar'}\n"
        f"sentinel monitor {SERVICE} 127.0.0.1 {replica} 9\n"
        f"sentinel down-after-milliseconds {SERVICE} 600000\n"
    )
    trio._spawn(port, str(tmp_path / "liar.conf"), "--sentinel")
    eventually(lambda: trio.ask(port, "PING"))

    text = refused(f"redis+sentinel://127.0.0.1:{port}/{SERVICE}", BrokerUnavailable)
    assert (
        f"127.0.0.1:{replica}, the primary of '{SERVICE}' by the sentinels' word, is a replica"
        in text
    )

    truthful = trio.sentinel_ports[0]
    queue = Jobd(f"redis+sentinel://127.0.0.1:{port},127.0.0.1:{truthful}/{SERVICE}").queue("q")
    with pytest.raises(BrokerUnavailable):
        queue.add("t", {})
    assert queue.add("t", {}).outcome == "enqueued"  # the next one was asked


def test_a_doctor_sees_the_whole_service(trio: Service) -> None:
    """Of each sentinel; who is silent is listed."""
    [away] = free_ports(1)
    client = connect(trio.url.replace("redis+sentinel://", f"redis+sentinel://127.0.0.1:{away},"))
    facts = sentinel_facts(client, replicas_wanted=0)
    assert facts is not None
    assert facts.silent[0].startswith(f"127.0.0.1:{away} (")
    assert (facts.sentinels, facts.quorum, facts.replicas, facts.down_after) == (3, 2, 1, 0.5)
    assert (facts.has_quorum, facts.primaries) == (True, (f"127.0.0.1:{trio.primary()}",))
    assert sentinel_facts(trio.client(trio.primary()), replicas_wanted=0) is None


def test_what_a_sentinel_is_asked_is_written_to_nobody_elses_file(
    trio: Service, tmp_path: Path
) -> None:
    """A task may close a descriptor that is not its own, and have a file there."""
    sentinels = connect(trio.url).connection_pool.connection_kwargs["sentinels"]
    watch = Watch(sentinels)
    assert watch.primary() == ("127.0.0.1", trio.primary())
    assert watch._connection is not None
    number = watch._connection._sock.fileno()
    with (tmp_path / "file").open("w+b") as file:
        os.dup2(file.fileno(), number)
        watch._due = 0.0
        assert watch.primary() == ("127.0.0.1", trio.primary())
        assert file.read() == b""
        os.fstat(number)  # still open: it is not ours to close
        os.close(number)


def test_a_producer_follows_a_failover(trio: Service) -> None:
    """In a thread and on a loop; while there is no primary it is told so, at once."""
    app = Jobd(trio.url)
    queue = app.queue("q")
    queue.add("t", {})

    old = trio.primary()
    trio.kill(old)
    errors = []

    def added() -> bool:
        asked = time.monotonic()
        try:
            return queue.add("t", {}).outcome == asyncio.run(added_async(app)) == "enqueued"
        except BrokerUnavailable as error:
            errors.append(str(error))
            return False
        finally:
            assert time.monotonic() - asked < 20

    new, _ = trio.promoted(old)
    eventually(added)
    assert trio.client(new).zcard("jobd:{q}:waiting") >= 3


@pytest.mark.chaos
def test_a_connection_leaves_who_was_deposed_within_a_second(tmp_path: Path) -> None:
    """A primary that is told to go takes writes for seconds more: nothing is sent to it any more."""
    with service(tmp_path) as trio:
        queue = Jobd(trio.url).queue("q")
        queue.add("t", {})
        old = trio.primary()
        assert trio.ask(trio.sentinel_ports[0], "SENTINEL", "FAILOVER", SERVICE) == b"OK"
        new, promoted_at = trio.promoted(old)
        said: list[BrokerUnavailable] = []

        def moved() -> bool:
            try:
                queue.add("t", {})
            except BrokerUnavailable as error:
                said.append(error)
            return bool(said)

        eventually(moved)
        assert time.monotonic() - promoted_at < 3
        assert f"127.0.0.1:{old} is not the primary of '{SERVICE}' any more: " in str(said[0])
        assert f"127.0.0.1:{new} is, by the sentinels' word" in str(said[0])
        assert not said[0].outcome_unknown
        assert queue.add("t", {}).outcome == "enqueued"
