"""From where one is served: open dashboards, names that lead elsewhere, proxies, tries by address."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from support.logins import PASSWORDS, Browser, Site, code, dashboard

from jobd.broker.logins import OF_ADDRESS, OF_USER
from jobd.core.config_web import DashboardConfig
from jobd.core.peers import client_of, is_loopback, is_proxy, neighbourhood, read_address
from jobd.core.web_events import WebProxyUnnamed

OPEN = DashboardConfig(open=True)
Make = Callable[..., Site]


@pytest.fixture
def make(redis_url: str) -> Make:
    return lambda config: Site(redis_url, config)


# --- open ---


def test_an_open_dashboard_serves_this_host_and_still_wants_its_own_pages(make: Make) -> None:
    site = make(OPEN)
    browser = Browser(site)
    assert browser.get().text == "anybody"
    session = browser.get("/session").json()
    assert (session["role"], session["via"]) == ("operator", "open")
    assert code(browser.post()) == (403, "jobd.not_from_here")
    browser.csrf = session["csrf"]
    assert code(browser.post(headers={"Origin": "http://evil.example"}))[1] == "jobd.not_from_here"
    assert site.did == []
    assert browser.post().status_code == 200
    assert site.told[-1] == ("anybody", "queue.pause", "done")
    assert browser.post("/login", json={}).status_code == 404
    browser.site = make(OPEN)  # another process: its pages have another token
    assert code(browser.post()) == (403, "jobd.not_from_here")


HOSTS = {
    "localhost": True, "localhost:9180": True, "LOCALHOST.:1": True, "127.0.0.1": True,
    "127.9.9.9:80": True, "[::1]:9180": True, "jobs.test:9180": True, "evil.example": False,
    "evil.example:9180": False, "localhost.evil.example": False, "127.0.0.1.evil.example": False,
    "192.168.0.1": False, "0.0.0.0": False, "": False, "[::1": False, "[::ffff:127.0.0.1]": True,
    "localhost@evil.example": False, "evil.example#localhost": False,
    "[::1].evil.example": False, "127.0.0.1%evil": False, "127.0.0.1:9180@evil": False, "localhost:80:evil": False,
    "localhost:evil": False, "[::1%evil]": False, "[::1]:80:80": False, "localhost..": False, "127.0.0.1 ": False,
    "::1": False, "localhost:": True, "[::1]": True,
}  # fmt: skip


def test_an_open_dashboard_answers_to_no_name_of_somebody_else(make: Make) -> None:
    """Else a page whose name is made to lead to 127.0.0.1 is a page of ours."""
    site = make(DashboardConfig(open=True, hosts=["jobs.test"]))
    for host, good in HOSTS.items():
        answer = Browser(site).get(headers={"Host": host})
        assert answer.status_code == (200 if good else 403), host
        if not good:
            assert code(answer) == (403, "jobd.wrong_host")


@pytest.mark.parametrize(
    ("at", "address", "headers"),
    [
        ("http://10.0.0.5:9180", "10.0.0.9", {"Host": "localhost"}),
        ("http://127.0.0.1:9180", "10.0.0.9", {}),
        ("http://10.0.0.5:9180", "127.0.0.1", {"Host": "localhost"}),
        ("http://127.0.0.1:9180", "127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}),
        ("http://127.0.0.1:9180", "127.0.0.1", {"Forwarded": "for=127.0.0.1"}),
        ("http://127.0.0.1:9180", "127.0.0.1", {"X-Real-IP": "127.0.0.1"}),
        *(
            ("http://127.0.0.1:9180", "127.0.0.1", {name: "127.0.0.1"})
            for name in (
                "Via",
                "X-Forwarded-Proto",
                "X-Forwarded-Host",
                "X-Forwarded-Any",
                "CF-Connecting-IP",
                "True-Client-IP",
                "X-Client-IP",
            )
        ),
    ],
)
def test_an_open_dashboard_serves_nobody_from_beyond(
    make: Make, at: str, address: str, headers: dict[str, str]
) -> None:
    site = make(OPEN)
    beyond = Browser(site, at=at, address=address)
    assert code(beyond.get(headers=headers)) == (403, "jobd.wrong_host")
    assert code(beyond.post(headers=headers)) == (403, "jobd.wrong_host")
    assert site.did == []


@pytest.mark.parametrize("header", ["Origin", "Referer"])
def test_an_open_dashboard_serves_pages_of_this_host_alone(make: Make, header: str) -> None:
    """A proxy that says nothing of itself hands on what browsers say of where they are."""
    browser = Browser(make(DashboardConfig(open=True, hosts=["jobs.test"])))
    for page, good in {
        "http://localhost:9180/x": True, "http://127.0.0.1:3000": True, "http://[::1]:1/": True,
        "https://jobs.test/": True, "https://jobs.example/": False, "http://127.0.0.1@evil.example/": False,
        "http://127.0.0.1%evil/": False, "http://[::1].evil.example/": False, "null": False, "": False,
        "ftp://localhost/": False, "http://[": False, "//localhost/": False,
    }.items():  # fmt: skip
        answer = browser.get(headers={header: page})
        assert answer.status_code == (200 if good else 403), page
        if not good:
            assert code(answer) == (403, "jobd.not_from_here")


def test_a_proxy_that_is_not_named_is_told_of_once(make: Make) -> None:
    site = make(dashboard(proxies=["10.0.0.1"]))
    sent = {"X-Forwarded-For": "192.0.2.1"}
    Browser(site, address="10.0.0.1").get(headers=sent)
    Browser(site, address="10.0.0.66").get()
    assert not [each for each in site.events if isinstance(each, WebProxyUnnamed)]
    for _ in range(3):
        Browser(site, address="10.0.0.66").get(headers=sent)
    [told] = [each for each in site.events if isinstance(each, WebProxyUnnamed)]
    assert (told.peer, told.level) == ("10.0.0.66", "warning")
    assert "name it in `proxies`" in told.why


def test_with_users_names_count_only_where_they_are_listed(make: Make) -> None:
    anywhere = Browser(make(dashboard()), at="http://jobs.example", address="10.0.0.9")
    assert anywhere.log_in().status_code == 200
    listed = make(dashboard(hosts=["jobs.example"]))
    assert Browser(listed, at="http://jobs.example").log_in().status_code == 200
    other = Browser(listed, at="http://evil.example")
    assert code(other.log_in()) == (403, "jobd.wrong_host")
    assert code(other.get()) == (403, "jobd.wrong_host")


# --- tries ---


def test_an_address_that_guesses_has_to_wait_and_others_do_not(make: Make) -> None:
    site = make(dashboard())
    bad = Browser(site, address="10.0.0.66")
    for n in range(OF_ADDRESS.burst):
        assert code(bad.log_in(f"user{n}", "wrong"))[0] == 401
    answer = bad.log_in("ops")
    assert code(answer) == (429, "jobd.too_many_tries")  # the right password is not looked at
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert Browser(site, address="10.0.0.67").log_in("ops").status_code == 200
    form = bad.post("/login", data={"user": "ops", "password": PASSWORDS["ops"]})
    assert form.headers["location"].startswith("/login?why=jobd.too_many_tries")


def test_tries_are_counted_over_all_hosts(make: Make) -> None:
    sites = [make(dashboard()), make(dashboard())]
    for n in range(OF_ADDRESS.burst):
        Browser(sites[n % 2], address="10.0.0.66").log_in("ops", "wrong")
    assert code(Browser(sites[0], address="10.0.0.66").log_in())[0] == 429


def test_a_user_is_guarded_from_many_addresses_and_not_kept_out(make: Make) -> None:
    site = make(dashboard())
    assert Browser(site, address="10.1.1.1").log_in().status_code == 200
    for n in range(OF_USER.burst):
        Browser(site, address=f"10.0.0.{n}").log_in("ops", "wrong")
    assert code(Browser(site, address="10.0.1.1").log_in())[0] == 429
    assert Browser(site, address="10.1.1.1").log_in().status_code == 200


def test_one_customers_addresses_are_one(make: Make) -> None:
    site = make(dashboard())
    for n in range(OF_ADDRESS.burst):
        Browser(site, address=f"2001:db8:1:2::{n:x}").log_in(f"u{n}", "wrong")
    assert code(Browser(site, address="2001:db8:1:2:ffff::1").log_in())[0] == 429
    assert Browser(site, address="2001:db8:1:3::1").log_in().status_code == 200


def test_who_lies_about_his_address_is_counted_all_the_same(make: Make) -> None:
    site = make(dashboard(proxies=["10.0.0.1"]))
    for n in range(OF_ADDRESS.burst):  # not through the proxy
        lie = {"X-Forwarded-For": f"192.0.2.{n}", "X-Forwarded-Proto": "https"}
        answer = Browser(site, address="10.0.0.66").log_in(f"u{n}", "wrong", headers=lie)
        assert answer.status_code == 401
    assert code(Browser(site, address="10.0.0.66").log_in())[0] == 429
    for n in range(OF_ADDRESS.burst):  # through it: what it saw comes last
        lie = {"X-Forwarded-For": f"192.0.2.{n}, 203.0.113.5"}
        Browser(site, address="10.0.0.1").log_in(f"v{n}", "wrong", headers=lie)
    lie = {"X-Forwarded-For": "192.0.2.99, 203.0.113.5"}
    assert code(Browser(site, address="10.0.0.1").log_in(headers=lie))[0] == 429
    truth = {"X-Forwarded-For": "203.0.113.6"}
    assert Browser(site, address="10.0.0.1").log_in(headers=truth).status_code == 200
    assert site.events[-1].address == "203.0.113.6"  # type: ignore[attr-defined]


# --- addresses alone ---


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", ["9.9.9.9", "1.1.1.1", "10.0.0.2"], "1.1.1.1"),
        ("10.0.0.1", ["1.1.1.1", "rubbish", "10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["10.0.0.3", "10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["[2001:db8::1]:80"], "2001:db8::1"),
        ("10.0.0.1", ["1.1.1.1:4711"], "1.1.1.1"),
        ("8.8.8.8", ["1.1.1.1"], "8.8.8.8"),
        ("unix", ["1.1.1.1"], "1.1.1.1"),
        ("::ffff:10.0.0.1", ["1.1.1.1"], "1.1.1.1"),
    ],
)
def test_the_client_is_whom_the_last_proxy_saw(
    peer: str, forwarded: list[str], client: str
) -> None:
    assert client_of(peer, forwarded, ["10.0.0.0/8", "unix"]) == client


def test_addresses_are_read_as_they_are() -> None:
    assert [is_loopback(a) for a in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "127.3.2.1")] == [
        True
    ] * 4
    assert [is_loopback(a) for a in ("10.0.0.1", "::", "0.0.0.0", "localhost", "", "unix")] == [
        False
    ] * 6
    assert not is_proxy("unix", ["127.0.0.1"])
    assert not is_proxy("x", ["0.0.0.0/0", "::/0"])
    assert neighbourhood("2001:db8::7") == "2001:db8::/64"
    assert [neighbourhood(a) for a in ("1.2.3.4", "::ffff:1.2.3.4", "unix")] == [
        "1.2.3.4",
        "1.2.3.4",
        "unix",
    ]
    assert read_address("1.2.3.4.5") is read_address("") is read_address("a:b") is None


# --- on real sockets ---


@contextlib.contextmanager
def served(site: Site, *sockets: socket.socket) -> Iterator[None]:
    """Serve on these, in a thread, as the web process does."""
    config = uvicorn.Config(
        site.app, log_config=None, lifespan="off", proxy_headers=False, access_log=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=list(sockets))))
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


def asked(sock: socket.socket, to: Any, host: str, path: str = "/") -> tuple[int, bytes]:
    """Send one request over a socket of this kind."""
    connection = http.client.HTTPConnection(host)
    connection.sock = socket.socket(sock.family, socket.SOCK_STREAM)
    connection.sock.connect(to)
    try:
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_on_real_sockets_the_addresses_are_those_of_the_kernel(make: Make, tmp_path: Path) -> None:
    """An open dashboard is served at 127.0.0.1, also where the socket is at [::]; not at a unix socket,
    behind which a proxy may stand."""
    site = make(OPEN)
    plain = socket.create_server(("127.0.0.1", 0))
    both = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    local = socket.socket(socket.AF_UNIX)
    local.bind(str(tmp_path / "s"))
    local.listen()
    ports = plain.getsockname()[1], both.getsockname()[1]
    with served(site, plain, both, local):
        for port in ports:
            where = ("127.0.0.1", port)
            assert asked(plain, where, f"127.0.0.1:{port}") == (200, b"anybody")
            assert asked(plain, where, "evil.example")[0] == 403
        assert asked(both, ("::1", ports[1]), f"[::1]:{ports[1]}")[0] == 200
        status, body = asked(local, str(tmp_path / "s"), "localhost")
        assert (status, b"jobd.wrong_host" in body) == (403, True)
