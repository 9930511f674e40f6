"""What goes with the unit: the socket, instances, credentials, the user and its directories."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from support.machine import Machine
from support.servers import eventually
from support.unit import PYTHON, URL, Service

GET = (
    "import json, sys, urllib.request as r\n"
    "a = r.urlopen(sys.argv[1], timeout=20); print(json.dumps([a.status, a.read().decode()]))"
)


def get(machine: Machine, url: str) -> int:
    done = machine.run("env", "LD_LIBRARY_PATH=/opt/python/lib", PYTHON, "-c", GET, url)
    status: int = json.loads(done.stdout)[0]
    return status


def test_a_socket_of_systemds_is_served_and_outlives_the_daemon(service: Service) -> None:
    """Nobody is refused while it is restarted: the connection waits in the socket."""
    assert "web" not in service.settled_state().helpers  # without it nothing is served
    service.machine.run("systemctl", "stop", "jobd.service")
    service.machine.run("systemctl", "start", "jobd.socket")
    try:
        # The first who asks starts the daemon, and is answered.
        assert get(service.machine, "http://127.0.0.1:9180/livez") == 200
        assert service.show("ActiveState") in ("active", "activating")
        service.systemctl("restart")
        assert get(service.machine, "http://127.0.0.1:9180/livez") == 200
        assert service.add("double", n=3).result() == 6
    finally:
        service.machine.run("systemctl", "stop", "jobd.socket")


def test_the_user_and_its_directories_are_those_of_the_files(service: Service) -> None:
    machine = service.machine
    entry = machine.run("getent", "passwd", "jobd").stdout.split(":")
    assert entry[5:] == ["/var/lib/jobd", "/usr/sbin/nologin\n"]
    stat = machine.run(
        "stat", "-c", "%n %a %U", "/etc/jobd", "/etc/jobd/credentials", "/run/jobd", "/var/lib/jobd"
    ).stdout.split("\n")
    assert stat[:4] == [
        "/etc/jobd 755 root",
        "/etc/jobd/credentials 700 root",
        "/run/jobd 750 jobd",
        "/var/lib/jobd 755 jobd",
    ]


def test_a_secret_is_read_anew_by_the_daemon_and_by_nobody_else(service: Service) -> None:
    """The credential is no part of the environment, where tasks and what they start would find it."""
    seen = service.add("environment").result()
    assert seen["url"] is None
    assert URL not in json.dumps(seen["all"])
    assert service.systemctl("reload") == 0


@pytest.fixture
def instance(machine: Machine) -> Iterator[Service]:
    """A second daemon, with an address that is no secret file's but the environment's."""
    machine.path("/etc/jobd/x.toml").write_text(
        'app = "shop:app"\n[redis]\nnamespace = "x"\n[queues.q]\n'
    )
    machine.path("/etc/jobd/x.environment").write_text(f"JOBD_REDIS_URL={URL}\n")
    unit = Service(machine, "jobd@x", "x")
    unit.systemctl("start")
    yield unit
    unit.systemctl("stop")


def test_an_instance_is_a_daemon_of_its_own(service: Service, instance: Service) -> None:
    """With its own file, directories, environment and journal, beside the other; and no credential file."""
    assert instance.add("double", n=4).result() == 8
    assert service.add("double", n=5).result() == 10
    assert instance.systemctl("reload") == 0
    assert instance.show("StatusText") == "running: 1 of 1 workers"
    assert instance.machine.path("/run/jobd-x/state.json").exists()
    assert instance.add("runs_in").result() == "/var/lib/jobd-x"
    pids = {line["_PID"] for line in instance.journal("JOBD_EVENT=daemon.ready")}
    assert pids == {instance.show("MainPID")}
    eventually(lambda: len(service.workers()) == 2)
