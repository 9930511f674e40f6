"""The web process by itself, with a test in the place of its supervisor."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.servers import eventually, running, server_programs
from support.web_process import IDLE_FOR, LEASE, Web

from jobd.seams import statefile
from jobd.seams.statefile import PoolState, SlotState
from jobd.web.auth.headers import HEADERS
from jobd.web.connections import LONGEST_HEAD

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """One that none of the tests ends."""
    top = tmp_path_factory.mktemp("web")
    with running(next(iter(server_programs().values())), top) as url:
        made = Web(top, url)
        yield made
        made.end()


@pytest.fixture
def ending(tmp_path: Path, redis_url: str) -> Iterator[Web]:
    made = Web(tmp_path, redis_url, idle_for=1000.0)
    yield made
    made.end()


def test_it_says_what_it_hears_and_sees_and_that_it_turns(web: Web) -> None:
    web.say(ready=False)
    first = web.ask("/readyz")
    assert (first.status, first.json["status"], first.reasons) == (503, "starting", {"starting"})
    web.say()
    assert web.ask("/readyz").status == 200, "what lies in the channel counts"

    slot = SlotState(slot="q.1", phase="running", incarnation="n.1", pid=os.getpid())
    web.write(queues={"q": [slot]}, pools={"q": PoolState(target=1)})
    eventually(lambda: web.ask("/readyz").reasons == {"queue_no_worker"})
    page = web.pages.pages[0]
    page.hand_out(incarnation="n.1", queue="q", slot="q.1")
    page.set_phase(2)
    eventually(lambda: web.ask("/readyz").reasons == {"queue_no_progress"})
    page.asked(time.monotonic())
    eventually(lambda: web.ask("/readyz").status == 200)

    web.write(down={"keeper": time.monotonic() - 3.0}, reload_error="a secret: 1234")
    eventually(lambda: web.ask("/readyz").warnings >= {"helper_down", "reload_refused"})
    assert b"1234" not in web.ask("/readyz").body
    assert web.ask("/readyz").status == 200
    web.write(down={"keeper": time.monotonic() - 0.6 * LEASE})
    eventually(lambda: web.ask("/readyz").reasons == {"keeper_down"})
    web.write()
    eventually(lambda: web.ask("/readyz").status == 200)

    web.say(stopping=True)
    assert web.ask("/readyz").reasons >= {"draining"}
    eventually(lambda: web.beats() >= 2)


def test_a_state_that_cannot_be_read_is_a_reason(web: Web) -> None:
    web.say()
    web.write()
    eventually(lambda: not web.ask("/readyz").json["queues"])
    assert web.ask("/readyz").status == 200
    (web.board.parent / statefile.NAME).write_text("{")
    eventually(lambda: web.ask("/readyz").reasons == {"state_unread"})
    web.write()
    eventually(lambda: web.ask("/readyz").status == 200)


def test_a_state_that_is_old_is_a_reason_and_nothing_else_is_said_of_workers(web: Web) -> None:
    """The supervisor cannot write it: the runtime directory is full, and its workers may be well."""
    web.say()
    slot = SlotState(slot="q.1", phase="running", incarnation="gone", pid=2**22 + 5)
    web.write(queues={"q": [slot]}, pools={"q": PoolState(target=1)})
    eventually(lambda: web.ask("/readyz").reasons == {"queue_no_worker"})
    web.pages.set_stale(time.monotonic() - 7.0)
    eventually(lambda: web.ask("/readyz").reasons == {"state_stale"})
    assert b"state.json is " in web.ask("/readyz").body
    web.pages.set_stale(None)
    web.write()
    eventually(lambda: web.ask("/readyz").status == 200)


@pytest.mark.parametrize("how", ["TERM", "the channel's end"])
def test_it_ends_soon_whoever_is_connected(how: str, ending: Web) -> None:
    ending.say()
    assert ending.ask("/livez").status == 200
    idle, half = ending.connect(), ending.connect()
    half.sendall(b"GET /livez HTTP/1.1\r\nHost: x")
    if how == "TERM":
        ending.process.send_signal(signal.SIGINT)  # ^C at a terminal is the supervisor's to hear
        ending.process.send_signal(signal.SIGTERM)
    else:
        ending.channel.close()
    assert ending.ended(60.0) == 0
    assert "Traceback" not in ending.log.read_text()
    idle.close()
    half.close()


def test_connections_that_bring_nothing_are_closed_and_keep_nobody_out(web: Web) -> None:
    web.say()
    began = time.monotonic()
    idle, head, body = web.connect(), web.connect(), web.connect()
    body.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
    sockets = [idle, head, body]
    open_ = {*sockets}
    until = began + IDLE_FOR + 8.0
    while open_ and time.monotonic() < until:
        for drip in {head, body} & open_:
            # One byte now and then: a time-out for each would never end.
            try:
                drip.sendall(b"G" if drip is head else b"x")
            except OSError:
                open_.discard(drip)
        for sock in select.select([*open_], [], [], 0.05)[0]:
            try:
                is_open = bool(sock.recv(65536))
            except OSError:
                is_open = False
            if not is_open:
                open_.discard(sock)
    for sock in sockets:
        sock.close()
    assert not open_
    assert time.monotonic() - began >= IDLE_FOR


def test_a_crowd_that_asks_for_nothing_is_bounded_and_keeps_nobody_out(
    tmp_path: Path, redis_url: str
) -> None:
    web = Web(tmp_path, redis_url, idle_for=60.0, most=20)
    crowd: list[socket.socket] = []
    try:
        web.say()
        assert web.ask("/livez").status == 200
        crowd += [web.connect() for _ in range(60)]
        for _ in range(20):
            assert web.ask("/livez").status == 200
        eventually(lambda: sum(_is_closed(sock) for sock in crowd) >= 40)
    finally:
        for sock in crowd:
            sock.close()
        web.end()


def _is_closed(sock: socket.socket) -> bool:
    return bool(select.select([sock], [], [], 0)[0])


def test_a_head_without_end_is_refused(web: Web) -> None:
    web.say()
    with web.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * (LONGEST_HEAD + 1))
        said = sock.recv(65536)
    assert said.startswith(b"HTTP/1.1 400 ")
    for name, value in {**HEADERS, "Cache-Control": "no-store"}.items():
        assert f"{name}: {value}\r\n".encode() in said, "refused as all else is"
    assert web.ask("/livez").status == 200
    assert not web.log.read_text(), "what clients do wrong is no event"


_CHUNKED = b"GET %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("path", [b"/livez", b"/metrics", b"/nope"])
@pytest.mark.parametrize("parts", [(b"ZZZ\r\n",), (b"", b"ZZZ\r\n"), (b"1\r\nx\r\n", b"ZZZ\r\n")])
def test_what_follows_a_good_head_and_is_nonsense_is_no_event(
    web: Web, path: bytes, parts: tuple[bytes, ...]
) -> None:
    """It comes with the head, or while the answer is made, or after it was begun."""
    web.say()
    before = web.log.read_text()
    head = _CHUNKED % path + parts[0]
    for _ in range(20):
        with web.connect() as sock:
            sock.sendall(head)
            if parts[1:]:
                select.select([sock], [], [], 0.02)  # the answer may come meanwhile
            for part in parts[1:]:
                sock.sendall(part)
            sock.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                while sock.recv(65536):
                    pass
    assert web.ask("/livez").status == 200
    assert web.log.read_text() == before, "what clients do wrong is no event"
