"""What the machine and its service manager are found to allow, and who was left running."""

from __future__ import annotations

import math
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from support.daemons import eventually

from jobd.seams import units
from jobd.seams.machine import machine_facts, place_facts, unit_of
from jobd.seams.strays import strays

UNIT = """
[Unit]
TimeoutStopSec=1
[Service]
Type=notify
# TimeoutStopSec=2
TimeoutStopSec=1min 30s
KillMode = mixed
WatchdogSec=30s
OOMPolicy=continue
[Install]
KillMode=none
"""


def test_the_limits_of_this_process_are_read() -> None:
    facts = machine_facts(None)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert facts.files == (None if soft == resource.RLIM_INFINITY else soft)
    assert facts.memory is not None
    assert facts.memory > 100_000_000
    assert facts.cpus >= 1
    assert machine_facts(os.getpid()).files == facts.files
    assert machine_facts(2**22 + 5).files is None  # no such process: nothing is known


def test_a_place_is_looked_at(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    facts = place_facts(tmp_path)
    assert (facts.exists, facts.is_directory, facts.owner, facts.mode) == (
        True, True, os.geteuid(), 0o750,
    )  # fmt: skip
    assert facts.filesystem
    assert facts.free
    assert not place_facts(tmp_path / "none").exists
    (tmp_path / "file").touch()
    assert not place_facts(tmp_path / "file").is_directory


def test_a_unit_file_says_what_systemd_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "jobd.service").write_text(UNIT)
    (tmp_path / "jobd.service.d").mkdir()
    (tmp_path / "jobd.service.d" / "more.conf").write_text("[Service]\nTimeoutStopSec=5\n")
    monkeypatch.setattr(units, "_PLACES", (str(tmp_path),))
    monkeypatch.setattr(units.shutil, "which", lambda _: None)
    facts = units.unit_facts("jobd.service")
    assert facts is not None
    assert (facts.stop_timeout, facts.kill_mode, facts.oom_policy) == (5.0, "mixed", "continue")
    assert (facts.notifies, facts.watchdog) == (True, 30.0)
    assert units.unit_facts("other.service") is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1min 30s", 90.0), ("40", 40.0), ("infinity", math.inf), ("0", 0.0), ("2h", 7200.0), ("500ms", 0.5),
     ("1h 1min 1s", 3661.0), ("", 7.0), ("some day", 7.0)],
)  # fmt: skip
def test_systemds_spans_are_read(text: str, seconds: float) -> None:
    assert units.span(text, 7.0) == seconds


def test_the_unit_of_a_process_is_named_by_its_control_group() -> None:
    found = unit_of(os.getpid())
    assert found is None or found.endswith(".service")


def test_a_worker_without_a_supervisor_is_a_stray() -> None:
    code = (
        "import setproctitle, sys; setproctitle.setproctitle('jobd: worker left.1');"
        "print('up', flush=True); sys.stdin.read()"
    )
    left = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert left.stdout is not None
        assert left.stdout.readline()
        eventually("seen", lambda: left.pid in {stray.pid for stray in strays()})
        assert {s.title for s in strays() if s.pid == left.pid} == {"jobd: worker left.1"}
    finally:
        left.communicate()
    assert left.pid not in {stray.pid for stray in strays()}
