"""The units as files: they agree with the daemon and with each other, and systemd has nothing against them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.unit import JOBD, UNITS

from jobd.core.config import Config
from jobd.supervisor.fleet import Policy
from jobd.supervisor.selfcheck import BLIND_FOR

UNIT, INSTANCE = UNITS / "jobd.service", UNITS / "jobd@.service"
has_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze here"
)


def seconds_of(key: str) -> int:
    """Read a span of the unit, in seconds."""
    [value] = re.findall(rf"^{key}=(\d+)s$", UNIT.read_text(), re.MULTILINE)
    return int(value)


def test_the_units_spans_leave_the_daemon_its_own() -> None:
    """systemd must not cut short what the daemon bounds by itself, nor be fed too rarely."""
    daemon = Config().daemon
    policy = Policy(lease=daemon.lease, drain_timeout=daemon.drain_timeout)

    own = daemon.drain_timeout + policy.ack_grace + policy.helper_grace
    assert seconds_of("TimeoutStopSec") > own
    assert 10 * policy.look_every < seconds_of("WatchdogSec") < BLIND_FOR
    assert seconds_of("RestartSec") < daemon.lease / 6


def settings(unit: Path) -> list[str]:
    return [line for line in unit.read_text().splitlines() if line and not line.startswith("#")]


def test_an_instance_is_the_service_with_directories_of_its_own() -> None:
    """So that what is mended in one is not forgotten in the other."""
    own = {"EnvironmentFile=-/etc/jobd/%i.environment"}
    found = [line for line in settings(INSTANCE) if line not in own]
    plain = [
        line.replace("jobs, %i", "jobs").replace("/%i.toml", "/jobd.toml")
        .replace("credentials/%i/", "credentials/").replace("jobd-%i", "jobd")
        for line in found
    ]  # fmt: skip
    assert plain == settings(UNIT)
    assert sum("%i" in line for line in found) == 6


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, with a program that is here."""
    for unit in (*UNITS.glob("*.service"), *UNITS.glob("*.socket")):
        (tmp_path / unit.name).write_text(unit.read_text().replace(JOBD, sys.executable))
    shutil.copy(tmp_path / "jobd@.service", tmp_path / "jobd@shop.service")
    return tmp_path


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, check=False
    )


@has_analyze
def test_systemd_has_no_complaint(units: Path) -> None:
    verified = analyze("verify", "--man=no", *map(str, sorted(units.iterdir())))
    assert (verified.returncode, verified.stderr) == (0, "")


@has_analyze
@pytest.mark.parametrize("name", ["jobd.service", "jobd@shop.service"])
def test_the_exposure_is_no_higher_than_what_was_reached(units: Path, name: str) -> None:
    rated = analyze("security", "--offline=yes", "--threshold=15", "--no-pager", str(units / name))
    if "unrecognized option" in rated.stderr:
        pytest.skip("this systemd-analyze rates no files")
    assert rated.returncode == 0, rated.stdout + rated.stderr
