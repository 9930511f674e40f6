"""What the README shows of a service and tells to write into its unit, in the booted systemd."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.documents import block, shape
from support.unit import JOBD, Service

LOOSENED = block("packaging/README.md", "ReadWritePaths=")
DOCTOR = block("README.md", "$ jobd doctor -q")


@pytest.fixture
def loose(service: Service) -> Iterator[Service]:
    """The service with all that its unit may be loosened by, at once."""
    service.machine.run("mkdir", "-p", "-m", "777", "/srv/reports")
    with service.override(LOOSENED):
        service.systemctl("restart")
        yield service
    service.systemctl("restart")


def test_a_unit_is_loosened_by_what_is_said(loose: Service) -> None:
    """Each line is understood, and a task writes where it was refused before."""
    verified = loose.machine.run("systemd-analyze", "verify", "--man=no", "jobd.service")
    assert verified.stderr == ""
    assert loose.add("writes", path="/srv/reports/one").result(timeout="60s") is None
    assert loose.machine.run("test", "-f", "/srv/reports/one").returncode == 0
    said = loose.show("ProtectHome", "PrivateDevices", "NoNewPrivileges")
    assert said == {"ProtectHome": "read-only", "PrivateDevices": "no", "NoNewPrivileges": "no"}


def test_the_doctor_finds_what_is_said(service: Service) -> None:
    """A unit that does not hear of drains and cuts them short, and a Redis that evicts."""
    client = service.app.producer.client
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with service.override("[Service]\nType=exec\nTimeoutStopSec=10\n"):
            command = f"set -a; . /etc/jobd/environment; cd /opt/jobd; exec {JOBD} doctor -q -c {service.toml}"
            shown = service.machine.run(
                "env",
                "CREDENTIALS_DIRECTORY=/etc/jobd/credentials",
                "sh",
                "-c",
                command,
                check=False,
            )
    finally:
        client.config_set("maxmemory-policy", "noeviction")
    assert shown.returncode == 78
    found = shape(shown.stdout).splitlines()
    assert [line for line in shape(DOCTOR).splitlines()[1:] if line not in found] == [], (
        shown.stdout
    )
