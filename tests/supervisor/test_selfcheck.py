"""The watchdog is fed by a supervisor that supervises, and what `systemctl status` says of it."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from support.daemons import Daemon, eventually
from support.worlds import new_fleet

from jobd.core.events import DaemonUnwell, Event
from jobd.seams.systemd import Notifier
from jobd.supervisor.fleet import NEVER, Fleet, Queue, Reload, Stop
from jobd.supervisor.progress import Store
from jobd.supervisor.selfcheck import BLIND_FOR, DEAF_FOR, Pulse, ailment
from jobd.supervisor.statusline import status_line

NOW = 10_000.0


def fleet_at(*, looked: float = NOW, heard: float = NOW, **more: object) -> Fleet:
    fleet = new_fleet()
    fleet.looked_at, fleet.store = looked, Store(0.0, heard)
    for name, value in more.items():
        setattr(fleet, name, value)
    return fleet


def test_a_supervisor_is_well_while_it_sees_its_workers_and_hears_its_keeper() -> None:
    assert ailment(fleet_at(), NOW) == ""
    assert ailment(fleet_at(looked=NOW - BLIND_FOR, heard=NOW - DEAF_FOR), NOW) == ""
    assert "look" in ailment(fleet_at(looked=NOW - BLIND_FOR - 1), NOW)
    assert "keeper" in ailment(fleet_at(heard=NOW - DEAF_FOR - 1), NOW)


def test_what_another_supervisor_would_find_too_is_no_ailment() -> None:
    """Redis away, nothing heard of a keeper before the first or in the end, and where none is judged."""
    away = fleet_at()
    away.store = Store(NEVER, NOW)
    young = fleet_at()
    young.store = Store()
    patient = fleet_at(heard=0.0)
    patient.policy = replace(patient.policy, hang_after=0.0)
    for fleet in (away, young, patient, fleet_at(heard=0.0, stop=Stop.DRAIN)):
        assert ailment(fleet, NOW) == ""


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A service manager's socket, named in the environment, with a watchdog."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "notify"))
        made.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "30000000")
        yield made


def heard(manager: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(manager.recv(1000).decode())
        except BlockingIOError:
            return found


def pets(manager: socket.socket) -> int:
    return heard(manager).count("WATCHDOG=1")


def test_who_is_unwell_goes_hungry_says_so_once_and_is_fed_again_when_well(
    manager: socket.socket,
) -> None:
    """A first look after a sleep of the machine finds everything old, and is no ailment yet."""
    told: list[Event] = []
    notifier = Notifier()
    pulse = Pulse(notifier, told.append)
    blind = fleet_at(looked=NOW - BLIND_FOR - 1)
    fed = 0
    for tenth in range(100):
        pulse.turned(fleet_at(), NOW + tenth / 10)
        fed += pets(manager)
    assert 30 <= fed <= 40

    pulse.turned(blind, NOW + 11)
    pulse.turned(fleet_at(looked=NOW + 12), NOW + 12)
    assert (pets(manager), told) == (2, [])

    for second in range(20, 80):
        pulse.turned(blind, NOW + second)
    assert pets(manager) == 2
    assert [type(event) for event in told] == [DaemonUnwell]
    pulse.turned(fleet_at(looked=NOW + 80), NOW + 80)
    assert pets(manager) == 1
    notifier.close()


@pytest.mark.process
def test_a_loop_that_does_not_turn_feeds_nobody(
    tmp_path: Path, redis_url: str, manager: socket.socket
) -> None:
    """The words of a whole life, in their order; and silence while the supervisor stands still."""
    daemon = Daemon(
        tmp_path, redis_url, "from jobd import Jobd\napp = Jobd()\nq = app.queue('q')\n"
    )
    said: list[str] = []

    def says(word: str) -> bool:
        said.extend(heard(manager))
        return word in said

    try:
        eventually("ready", lambda: says("READY=1"))
        eventually("fed", lambda: says("WATCHDOG=1"))
        eventually("status", lambda: says("STATUS=running: 1 of 1 workers"))
        daemon.signal(signal.SIGSTOP)
        eventually("stopped", lambda: stat_of(daemon.process.pid) == "T")
        heard(manager)
        until = time.monotonic() + 1  # four looks
        eventually("a second", lambda: time.monotonic() > until)
        assert heard(manager) == []
        daemon.signal(signal.SIGCONT)
        said.clear()
        eventually("fed again", lambda: says("WATCHDOG=1"))
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
        assert says("STOPPING=1")
        assert "daemon.unwell" not in daemon.text()
    finally:
        daemon.end()


def stat_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_the_status_line_names_what_keeps_workers_from_their_work() -> None:
    fleet = fleet_at(ready=True)
    slots = len(fleet.slots)
    assert status_line(fleet) == f"running: 0 of {slots} workers"
    assert status_line(fleet_at()) == f"starting: 0 of {slots} workers"

    fleet.store = Store(NEVER, NOW)
    fleet.queues = {
        f"q{n}": Queue(name=f"q{n}", helper="", gave_up=True) for n in range(7)
    }  # fmt: skip
    fleet.reload = Reload(refused="app: does not load")
    assert status_line(fleet) == (
        f"running: 0 of {slots} workers; Redis does not answer; "
        "gave up: q0, q1, q2, q3, q4 and 2 more; the last reload was refused"
    )
    fleet.stop = Stop.DRAIN
    assert status_line(fleet).startswith("stopping: ")
    assert status_line(fleet_at(ready=True, reload=Reload(number=2))).startswith("reloading: ")
