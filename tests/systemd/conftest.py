"""One machine for all tests of the units: it takes two seconds to boot."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.machine import Machine, lacking
from support.unit import Service
from support.unit import machine as booted


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    if missing := lacking():
        pytest.skip(f"no systemd to boot: {missing}")
    # Not pytest's directory: its paths are too long for some sockets, and it is kept.
    with tempfile.TemporaryDirectory(prefix="jobd-machine-") as name, booted(Path(name)) as made:
        yield made


@pytest.fixture
def service(machine: Machine) -> Service:
    """jobd.service, running: as the test before has left it, or started."""
    unit = Service(machine)
    unit.systemctl("reset-failed", check=False)
    unit.systemctl("start")
    unit.settled(2)
    return unit
