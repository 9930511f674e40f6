"""No trickle of bytes puts off the end of a wait: of connecting, of an answer, of sending, of news."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chaos.proxy import Proxy, Rule, Wire
from redis.exceptions import TimeoutError as LateError
from support import tls
from support.drips import Drips
from support.servers import eventually
from support.tls import Authority

from jobd import Jobd, JobHandle
from jobd.broker import prompt
from jobd.broker import tls as our_tls
from jobd.broker.connection import connect, connect_async
from jobd.broker.keys import QueueKeys
from jobd.broker.notices import Notices, channel_of
from jobd.broker.sentinel_facts import sentinel_facts
from jobd.broker.tls import context_of
from jobd.cli.main import main
from jobd.core.errors import BrokerUnavailable
from jobd.core.redis_urls import TlsOptions

# More than lies between two bytes of any link here, so that no single read is late.
TIMEOUT = 0.4
LATE = "no answer from .* in time"
Call = Callable[[Jobd, JobHandle], object]
CALLS: dict[str, Call] = {
    "add": lambda app, _: app.queue("q").add("t", {}),
    "add_many": lambda app, _: app.queue("q").add_many([("t", {"n": n}) for n in range(10)]),
    "state": lambda _, job: job.state(),
    "info": lambda _, job: job.info(),
    "why": lambda _, job: job.why(),
    "cancel": lambda _, job: job.cancel(),
    "result": lambda _, job: job.result(timeout=3),
}
ASYNC_CALLS = {
    "aadd": lambda app, _: app.queue("q").aadd("t", {}),
    "aadd_many": lambda app, _: app.queue("q").aadd_many([("t", {"n": n}) for n in range(10)]),
    "astate": lambda _, job: job.astate(),
    "ainfo": lambda _, job: job.ainfo(),
    "acancel": lambda _, job: job.acancel(),
    "aresult": lambda _, job: job.aresult(timeout=3),
}


@pytest.fixture
def app(redis_url: str) -> Iterator[Jobd]:
    app = Jobd(redis_url)
    yield app
    app.producer.client.close()


class Trickling(Rule):
    """What is asked arrives at once, and the answer byte by byte."""

    def answered(self, wire: Wire, chunk: bytes) -> bool:
        for at in range(len(chunk)):
            time.sleep(TIMEOUT / 3)
            super().answered(wire, chunk[at : at + 1])
        return True


class Halving(Rule):
    """The second half of each answer is lost."""

    def answered(self, wire: Wire, chunk: bytes) -> bool:
        return super().answered(wire, chunk[: len(chunk) // 2])


class Sluggish(Rule):
    """Every answer takes a while."""

    def answered(self, wire: Wire, chunk: bytes) -> bool:
        time.sleep(TIMEOUT * 0.7)
        return super().answered(wire, chunk)


class Slow(Rule):
    """Answers come at a rate that is slow, and honest."""

    def answered(self, wire: Wire, chunk: bytes) -> bool:
        for at in range(0, len(chunk), 8192):
            time.sleep(8192 / 150_000)
            super().answered(wire, chunk[at : at + 8192])
        return True


@pytest.fixture
def proxy(tmp_path: Path, redis_url: str) -> Iterator[Proxy]:
    proxy = Proxy(tmp_path, Path(redis_url.removeprefix("unix://")))
    yield proxy
    proxy.end()


def once(call: Callable[[], Any]) -> Any:
    """What a call gives in fair weather, where a busy machine may be late now and then."""
    given: list[Any] = []

    def is_given() -> bool:
        with contextlib.suppress(BrokerUnavailable):
            given.append(call())
        return bool(given)

    eventually(is_given)
    return given[0]


def behind(url: str) -> tuple[Jobd, JobHandle]:
    app = Jobd(url, timeout=TIMEOUT)
    return app, app.queue("q").job("one")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("head", "more"), [(b"+", b"x"), (b"*9999\r\n", b":1\r\n")])
def test_a_server_that_drips_is_unavailable(call: str, head: bytes, more: bytes) -> None:
    """From the first byte on: also who only connects hears nothing whole."""
    with Drips(head, more) as drips:
        app, job = behind(drips.url)
        with pytest.raises(BrokerUnavailable, match=LATE):
            CALLS[call](app, job)
        app.producer.client.close()


@pytest.mark.parametrize("call", CALLS)
def test_an_answer_that_trickles_is_late(call: str, proxy: Proxy) -> None:
    """On connections that worked; what was asked for may have been done."""
    app, _ = behind(proxy.url)
    job = once(lambda: app.queue("q").add("t", {}))
    once(job.state)
    proxy.rule = Trickling()

    with pytest.raises(BrokerUnavailable, match=LATE) as late:
        CALLS[call](app, job)

    assert late.value.outcome_unknown
    app.producer.client.close()


@pytest.mark.parametrize("call", ASYNC_CALLS)
def test_on_an_event_loop_it_is_the_same(call: str, proxy: Proxy) -> None:
    """While connecting, and on connections that worked."""

    async def asked(app: Jobd, job: JobHandle, *, fair: bool) -> None:
        if fair:
            with contextlib.suppress(
                BrokerUnavailable
            ):  # a busy machine: then it connects once more
                await job.astate()
            proxy.rule = Trickling()
        try:
            with pytest.raises(BrokerUnavailable, match=LATE):
                await ASYNC_CALLS[call](app, job)
        finally:
            await app.producer.async_client.aclose()

    with Drips() as drips:
        asyncio.run(asked(*behind(drips.url), fair=False))
    asyncio.run(asked(*behind(proxy.url), fair=True))


def test_to_introduce_ourselves_takes_no_longer_than_to_connect(proxy: Proxy) -> None:
    """It takes several answers, each of which is in time."""
    proxy.rule = Sluggish()
    url = f"{proxy.url}?db=1&client_name=me"

    async def ping() -> None:
        client = connect_async(url, timeout=TIMEOUT)
        try:
            await client.ping()
        finally:
            await client.aclose()

    with pytest.raises(LateError):
        asyncio.run(ping())
    client = connect(url, timeout=TIMEOUT)
    with pytest.raises(LateError):
        client.ping()
    client.close()


def test_a_large_answer_on_a_slow_link_comes_through(
    app: Jobd, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes longer than an answer may, and keeps coming."""
    monkeypatch.setattr(prompt, "LEAST_RATE", 10_000)  # so that a busy machine is none too slow
    proxy.rule = Slow()
    text = "x" * 120_000
    app.queue("q").add("t", {"text": text}, job_id="large")
    slow = Jobd(proxy.url, timeout=TIMEOUT)

    info = once(slow.queue("q").job("large").info)

    assert info is not None
    assert info.args == {"text": text}
    slow.producer.client.close()


def test_an_idle_connection_may_be_asked_whether_it_works(redis_url: str) -> None:
    """The wait for that begins when it is asked, not when the last answer came."""
    app = Jobd(f"{redis_url}?health_check_interval=1", timeout=1.0)
    added = app.queue("q").add("t", {})
    threading.Event().wait(1.5)  # longer than both

    assert app.queue("q").add("t", {}).outcome == "enqueued"
    assert added.state() == "waiting"
    app.producer.client.close()


def test_a_notice_that_is_not_whole_is_none(redis_url: str, proxy: Proxy) -> None:
    """A wait for news ends at its own time, whatever has begun to come."""
    keys = QueueKeys("jobd", "q")
    client, other = connect(proxy.url, timeout=1.0), connect(redis_url)
    with Notices(client, keys, "one") as notices:
        proxy.rule = Halving()
        other.publish(channel_of(keys, "one"), "completed")
        notices.wait(TIMEOUT)
    client.close()
    other.close()


@pytest.mark.parametrize("verb", [["queues", "list"], ["enqueue", "q", "t"]])
def test_a_command_says_so_and_ends(
    verb: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with Drips() as drips:
        monkeypatch.setenv("JOBD_REDIS_URL", drips.url)
        assert main(verb) != 0
    assert "in time" in capsys.readouterr().err


def test_a_sentinel_that_drips_is_one_that_is_silent() -> None:
    """The next one is asked, and where there is none, that is said."""
    with Drips() as drips:
        url = f"redis+sentinel://{drips.place}/main/0"
        app = Jobd(url, timeout=TIMEOUT)
        with pytest.raises(BrokerUnavailable, match="no sentinel says"):
            app.queue("q").add("t", {})
        facts = sentinel_facts(app.producer.client, replicas_wanted=None)
        assert facts is not None
        [silent] = facts.silent
        assert silent.startswith(f"{drips.place} (Timeout reading")

        async def add() -> None:
            try:
                await app.queue("q").aadd("t", {})
            finally:
                await app.producer.async_client.aclose()

        with pytest.raises(BrokerUnavailable, match="no sentinel says"):
            asyncio.run(add())


def test_a_handshake_that_drips_is_late() -> None:
    """The head of a TLS record is there, and the rest of it comes byte by byte."""
    with Drips(b"\x16\x03\x03\x3f\x00\x02\x00\x3e\xfc\x03\x03") as drips:
        app = Jobd(f"rediss://{drips.place}/0?ssl_cert_reqs=none", timeout=TIMEOUT)
        with pytest.raises(BrokerUnavailable, match="in TLS"):
            app.queue("q").add("t", {})


@pytest.mark.skipif(tls.lacking() is not None, reason=str(tls.lacking()))
def test_all_that_is_sent_over_tls_is_sent_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its records would be, with a peer that reads slowly."""
    monkeypatch.setattr(our_tls, "LEAST_RATE", 10**9)
    authority = Authority(tmp_path / "ca")
    there = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    there.load_cert_chain(*authority.sign("server"))
    here = context_of(TlsOptions(ca_certs=str(authority.certificate), check_hostname=False))
    near, far = socket.socketpair()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    reader = threading.Thread(target=_read_slowly, args=(there, far))
    reader.start()
    with here.wrap_socket(near) as sock:
        sock.sendall(b"x" * 60_000)
        sock.settimeout(TIMEOUT)
        with pytest.raises(TimeoutError):
            sock.sendall(b"x" * 1_000_000)
        assert sock.gettimeout() == TIMEOUT
    reader.join()


def _read_slowly(context: ssl.SSLContext, sock: socket.socket) -> None:
    with contextlib.suppress(OSError), context.wrap_socket(sock, server_side=True) as plain:
        while plain.recv(16_384):
            time.sleep(0.05)
