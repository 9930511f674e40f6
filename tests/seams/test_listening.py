"""Sockets that are opened once, and travel by descriptor."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from jobd.core.errors import ConfigError
from jobd.seams import listening

# What became of the descriptors in the program that this one became.
CHILD = """
import os, socket
from jobd.seams import listening
print(listening.are_activated())
for fd in listening.inherited():
    found = socket.socket(fileno=fd)
    print(found.getsockname(), os.get_inheritable(fd))
print([name for name in os.environ if name.startswith(("LISTEN_", "JOBD_WEB"))])
print(listening.inherited())
"""
# As systemd does it: the descriptors from 3 on, and the pid of who is meant.
ACTIVATE = """
import os, socket, sys
[os.dup2(int(fd), 3 + at) for at, fd in enumerate(sys.argv[2:])]
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(sys.argv[2:]))}
os.execv(sys.executable, [sys.executable, "-c", sys.argv[1]])
"""


def _run(*argv: str, env: dict[str, str] | None = None, keep: list[int] | None = None) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", *argv],
        capture_output=True, text=True, check=True, env=env, pass_fds=keep or [],
    )  # fmt: skip
    return done.stdout.splitlines()


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0", "localhost:0"])
def test_an_address_is_listened_at(address: str) -> None:
    with listening.listen(address) as sock:
        host, port = sock.getsockname()[:2]
        assert host == {"[::1]:0": "::1"}.get(address, "127.0.0.1")
        assert not sock.get_inheritable()
        with socket.create_connection((host, port)):
            pass


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_anywhere_means_both_kinds_of_address() -> None:
    with listening.listen("[::]:0") as sock:
        port = sock.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, port)):
                pass


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("192.0.2.1:80", "assign requested address"),
        ("no-such-host.invalid:80", "not known|resolution"),
    ],
)
def test_one_that_cannot_be_had_is_an_error_of_the_configuration(address: str, why: str) -> None:
    with pytest.raises(ConfigError, match=rf"web\.bind: .*{address}.*({why}).*; expected"):
        listening.listen(address)


def test_one_that_is_taken_is_an_error_and_free_again_when_it_is_let_go_of() -> None:
    with listening.listen("127.0.0.1:0") as sock:
        address = f"127.0.0.1:{sock.getsockname()[1]}"
        with pytest.raises(ConfigError, match="already in use"):
            listening.listen(address)
    listening.listen(address).close()


def test_where_it_need_not_be_that_port_another_one_does() -> None:
    with listening.listen_about("127.0.0.1:0") as sock:
        host, port = sock.getsockname()
        with listening.listen_about(f"{host}:{port}") as other:
            assert other.getsockname()[0] == host
            assert other.getsockname()[1] != port


def test_what_is_handed_over_arrives_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    sockets = [listening.listen("127.0.0.1:0"), listening.listen("127.0.0.1:0")]
    places = [sock.getsockname() for sock in sockets]
    fds = [sock.fileno() for sock in sockets]
    listening.hand_over(sockets)
    try:
        said = _run(CHILD, env=dict(os.environ), keep=fds)
    finally:
        for fd in fds:
            os.close(fd)
    assert said == ["False", *(f"{place} False" for place in places), "[]", "[]"]


def test_what_systemd_has_opened_is_taken_over() -> None:
    sockets = [listening.listen("127.0.0.1:0"), listening.listen("[::1]:0")]
    try:
        fds = [sock.fileno() for sock in sockets]
        said = _run(ACTIVATE, CHILD, *map(str, fds), keep=fds)
        places = [sock.getsockname() for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()
    assert said == ["True", *(f"{place} False" for place in places), "[]", "[]"]


UNFIT = """
import os, socket, sys
from jobd.core.errors import ConfigError
from jobd.seams import listening
os.closerange(3, 100)
kind, count = sys.argv[1:]
made = {
    "not open": lambda: None,
    "no socket": lambda: os.open("/dev/null", os.O_RDONLY),
    "another type": lambda: socket.socket(type=socket.SOCK_DGRAM).detach(),
    "not listen": lambda: socket.socket().detach(),
}[kind]()
assert made in (None, 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": count}
try:
    listening.check_activated()
except ConfigError as refused:
    print(refused)
"""


@pytest.mark.parametrize("kind", ["not open", "no socket", "another type", "not listen"])
@pytest.mark.parametrize("count", ["1", "999999"])
def test_descriptors_that_cannot_be_served_on_are_an_error_of_the_configuration(
    kind: str, count: str
) -> None:
    """Said before anything is begun, and not by who serves, again and again."""
    [said] = _run(UNFIT, kind, count)
    assert said.startswith(f"LISTEN_FDS: {count}; descriptor 3 is ")
    assert kind in said


def test_what_is_meant_for_another_process_is_left_alone() -> None:
    env = dict(os.environ) | {"LISTEN_PID": "1", "LISTEN_FDS": "2"}
    assert _run(CHILD, env=env) == ["False", "[]", "[]"]
