"""The laws of many connections at once: however its clients behave, the process answers probes."""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.logins import dashboard
from support.servers import eventually
from support.web import Answer
from support.web_process import Web

from jobd.core.config_web import TokenConfig
from jobd.core.passwords import hashed_token
from jobd.web.auth.headers import HEADERS
from jobd.web.connections import MOST

pytestmark = pytest.mark.process

FEW = 20
HOST = b"Host: 127.0.0.1\r\n"
STYLE = b"GET /static/x/jobd.css HTTP/1.1\r\n" + HOST + b"\r\n"
FORM = HOST + b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\n"
# Many people, for each has so many streams at most.
PEOPLE = {f"p{number}": f"jobd_{number:043}" for number in range(FEW)}

Start = Callable[..., Web]


@pytest.fixture
def start(tmp_path: Path, redis_url: str) -> Iterator[Start]:
    made: list[Web] = []
    tokens = {
        name: TokenConfig(token=hashed_token(token), role="viewer")
        for name, token in PEOPLE.items()
    }

    def start(**limits: float) -> Web:
        web = Web(
            tmp_path, redis_url, dashboard=dashboard(tokens=tokens), **{"idle_for": 60.0, **limits}
        )
        made.append(web)
        web.say()
        assert web.ask("/livez").status == 200
        return web

    yield start
    for web in made:
        web.end()


@pytest.fixture
def crowd() -> Iterator[list[socket.socket]]:
    """Connections that are closed at the end of the test."""
    made: list[socket.socket] = []
    yield made
    for sock in made:
        sock.close()


def asking(web: Web, request: bytes) -> socket.socket:
    """Ask, by a connection that takes hardly anything in until it is read."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    sock.settimeout(20)
    sock.connect(("127.0.0.1", web.port))
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError, ConnectionResetError):
        sock.send(request)
    return sock


def streaming(web: Web, crowd: list[socket.socket], many: int) -> list[socket.socket]:
    """Open streams, not all at once: so many are not admitted at the same time."""
    made: list[socket.socket] = []
    those = [f"Authorization: Bearer {token}\r\n\r\n".encode() for token in PEOPLE.values()]

    def are_open() -> bool:
        return all(has_come(each) for each in made)

    while len(made) < many:
        made += [asking(web, b"GET /live HTTP/1.1\r\n" + HOST + each) for each in those]
        crowd += made[-FEW:]
        eventually(are_open)
    return made


def probe(web: Web) -> None:
    for path in ("/livez", "/readyz"):
        assert web.ask(path).status == 200


def sockets(web: Web) -> int:
    """Count what the process has open."""
    return len(os.listdir(f"/proc/{web.process.pid}/fd"))


def has_come(sock: socket.socket) -> bool:
    return bool(select.select([sock], [], [], 0)[0])


def is_ended(sock: socket.socket) -> bool:
    """Take in what there is, and see whether that was all there will be."""
    try:
        while sock.recv(1 << 16):
            pass
    except BlockingIOError:
        return False
    except ConnectionResetError:
        pass
    return True


def test_clients_that_ask_for_much_and_take_nothing_in_keep_nobody_out(
    start: Start, crowd: list[socket.socket]
) -> None:
    web = start(most=FEW)
    for _ in range(3 * FEW):
        crowd.append(asking(web, STYLE * 400))
        probe(web)


def test_what_is_not_taken_in_for_a_while_is_dropped_though_more_was_asked_for(
    start: Start, crowd: list[socket.socket]
) -> None:
    web = start(idle_for=0.3, taken_within=1.0)
    before = sockets(web)
    crowd += [asking(web, STYLE * 400) for _ in range(5)]
    eventually(lambda: all(has_come(each) for each in crowd))
    eventually(lambda: sockets(web) <= before)
    probe(web)


def test_who_asks_for_much_and_takes_it_in_slowly_gets_all_of_it(
    start: Start, crowd: list[socket.socket]
) -> None:
    web, times = start(), 300
    crowd.append(sock := asking(web, STYLE * times + b"GET /nope HTTP/1.0\r\n\r\n"))
    probe(web)
    sock.settimeout(20)
    said = bytearray()
    while part := sock.recv(1 << 16):
        said += part
    assert (said.count(b"HTTP/1.1 200 "), said.count(b"HTTP/1.1 404 ")) == (times, 1)
    probe(web)
    assert not web.log.read_text()


@pytest.mark.parametrize("path", [b"/login", b"/logout", b"/api/v1/queues/q/pause"])
def test_bodies_that_do_not_come_keep_nobody_out(
    path: bytes, start: Start, crowd: list[socket.socket]
) -> None:
    web = start(most=FEW)
    for _ in range(2 * FEW):
        crowd.append(asking(web, b"POST " + path + b" HTTP/1.1\r\n" + FORM))
        probe(web)


def test_streams_and_idle_connections_without_number_leave_probes_answered_and_streams_alone(
    start: Start, crowd: list[socket.socket]
) -> None:
    web = start()
    streams = streaming(web, crowd, 100)
    crowd += [web.connect() for _ in range(MOST)]
    for _ in range(50):
        probe(web)
    for each in streams:
        said = each.recv(1 << 16)
        assert said.startswith(b"HTTP/1.1 200 ")
    crowd.append(web.connect())
    assert not any(is_ended(each) for each in streams)


def test_where_all_are_at_work_probes_are_answered_and_others_refused(
    start: Start, crowd: list[socket.socket]
) -> None:
    web = start(most=FEW)
    streams = streaming(web, crowd, FEW)
    for _ in range(50):
        probe(web)
    refused: Answer = web.ask("/metrics")
    assert (refused.status, refused.json["ok"]) == (503, False)
    assert all(refused.headers[name.lower()] == value for name, value in HEADERS.items())
    for each in streams:
        each.close()
    eventually(lambda: web.ask("/metrics").status == 200)
