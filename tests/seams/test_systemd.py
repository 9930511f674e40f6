"""What systemd hears, word by word, at a socket that pretends to be its own."""

from __future__ import annotations

import itertools
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobd.seams import clock
from jobd.seams.clock import Mono
from jobd.seams.systemd import Notifier


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The socket of a service manager, named in the environment."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "notify"))
        made.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.delenv("WATCHDOG_USEC", raising=False)
        yield made


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set the clock: the limits of units are minutes."""

    def at(seconds: float) -> None:
        monkeypatch.setattr(clock, "mono", lambda: Mono(seconds))

    at(1000.0)
    return at


def heard(server: socket.socket) -> list[str]:
    """All that was said since."""
    found = []
    while True:
        try:
            found.append(server.recv(200).decode())
        except BlockingIOError:
            return found


def test_everything_is_heard_and_children_do_not_speak(
    server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    notifier = Notifier()
    assert "NOTIFY_SOCKET" not in os.environ
    notifier.ready()
    notifier.status("all\nwell: \u20ac")
    notifier.alive()
    notifier.stopping()
    said = heard(server)
    notifier.close()
    notifier.alive()

    assert said[:4] == ["READY=1", "STATUS=all well: \\u20ac", "WATCHDOG=1", "STOPPING=1"]
    assert not heard(server)


@pytest.mark.usefixtures("server")
def test_a_reload_says_when_it_began_in_one_datagram(
    server: socket.socket, now: Callable[[float], None]
) -> None:
    """Two datagrams would be a race, which systemd decides by ignoring the reload."""
    now(12.5)
    notifier = Notifier()
    notifier.reloading()
    notifier.ready()
    notifier.close()

    assert heard(server) == ["RELOADING=1\nMONOTONIC_USEC=12500000", "READY=1"]


def test_whoever_starts_or_stops_asks_for_time_and_nobody_else(
    server: socket.socket, now: Callable[[float], None]
) -> None:
    """Well before the last word runs out, and only while the loop turns."""
    notifier = Notifier()
    asked: list[float] = []
    for tenth in range(400):
        at = tenth / 10
        now(1000.0 + at)
        if tenth == 100:
            notifier.ready()
        if tenth == 250:
            notifier.stopping()
        notifier.alive()
        spans = [re.fullmatch(r"EXTEND_TIMEOUT_USEC=(\d+)", line) for line in heard(server)]
        asked += [at for span in spans if span and int(span[1]) == 10_000_000]
    notifier.close()

    assert all(not 10.0 <= at < 25.0 for at in asked)
    assert (asked[0], 25.0 in asked) == (0.0, True)
    assert max(b - a for a, b in itertools.pairwise(asked) if b != 25.0) <= 2.2


def test_a_manager_that_does_not_read_holds_nobody_up(server: socket.socket) -> None:
    """What must not be lost is said again; what the next word replaces is not."""
    notifier = Notifier()
    for _ in range(2000):
        notifier.status("x" * 100)
    notifier.ready()
    assert "READY=1" not in heard(server)
    notifier.alive()
    notifier.close()

    assert heard(server) == ["READY=1"]


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    Notifier().ready()


def test_a_manager_that_is_not_there_ends_nothing(tmp_path: Path) -> None:
    code = "from jobd.seams.systemd import Notifier; Notifier().ready()"
    environment = os.environ | {"NOTIFY_SOCKET": str(tmp_path / "none")}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
