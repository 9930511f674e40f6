"""The unit in systemd/, in a real systemd: readiness, drain, restart, journal, and what jobs may do."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.machine import Machine, lacking
from support.servers import eventually, server_programs

from jobd.core.config import Config
from jobd.supervisor.fleet import Policy

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "systemd" / "jobd.service"
APP = Path(__file__).with_name("shop.py.txt")
JOBD = "/opt/jobd/venv/bin/jobd"
MISSING = lacking()
booted = pytest.mark.skipif(MISSING is not None, reason=f"no systemd to boot: {MISSING}")
has_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze here"
)
# Refused by the unit, on purpose. Everything else an ordinary job does works.
REFUSED = {
    "list /home", "write /etc", "write its own code", "new user namespace", "set the setuid bit",
    "raise its own priority", "a raw socket", "set the clock",
}  # fmt: skip


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
    assert seconds_of("WatchdogSec") > 10 * policy.look_every
    assert seconds_of("RestartSec") < daemon.lease / 6


@has_analyze
def test_the_unit_is_right_and_tight(tmp_path: Path) -> None:
    """No complaint, and an exposure no higher than what was reached."""
    unit = tmp_path / "jobd.service"
    unit.write_text(UNIT.read_text().replace(JOBD, sys.executable))
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (verified.returncode, verified.stderr) == (0, "")

    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=15", "--no-pager", str(unit)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "unrecognized option" in rated.stderr:
        pytest.skip("this systemd-analyze rates no files")
    assert rated.returncode == 0, rated.stdout + rated.stderr


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """A machine with jobd in /opt/jobd as packaging/README.md says, a Redis, and the unit."""
    # Not pytest's directory: its paths are too long for some sockets, and it is kept.
    with tempfile.TemporaryDirectory(prefix="jobd-machine-") as name:
        top = Path(name)
        booted = Machine(top, _files(top / "files"), _binds())
        try:
            booted.run("systemctl", "start", "redis.service")
            yield booted
        finally:
            booted.close()


def _binds() -> dict[Path, str]:
    program = next(iter(server_programs().values()))
    return {
        Path(sys.base_prefix): "/opt/python",
        Path(sysconfig.get_paths()["purelib"]): "/opt/jobd/libraries",
        ROOT / "jobd": "/opt/jobd/code/jobd",
        Path(program): "/opt/redis-server",
    }


def _files(files: Path) -> Path:
    units = files / "etc/systemd/system"
    for folder in (units, files / "etc/jobd", files / "opt/jobd/venv/bin"):
        folder.mkdir(parents=True)
    journal = files / "etc/systemd/journald.conf.d"
    journal.mkdir()
    (journal / "test.conf").write_text("[Journal]\nStorage=volatile\nReadKMsg=no\n")
    shutil.copy(UNIT, units)
    shutil.copy(APP, files / "opt/jobd/shop.py")
    (units / "redis.service").write_text(
        "[Service]\nExecStart=/opt/redis-server --port 0 --unixsocket /run/redis.sock "
        "--unixsocketperm 777 --dir /run --save 3600 1\n"
        "ExecStartPost=/bin/sh -c 'until [ -S /run/redis.sock ]; do sleep 0.05; done'\n"
    )
    python = f"/opt/python/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    (files / "opt/jobd/venv/bin/jobd").write_text(
        f"#!{python}\nimport sys\nfrom jobd.cli.main import main\nsys.exit(main())\n"
    )
    (files / "opt/jobd/venv/bin/jobd").chmod(0o755)
    (files / "etc/jobd/environment").write_text(
        "JOBD_REDIS_URL=unix:///run/redis.sock\nLD_LIBRARY_PATH=/opt/python/lib\n"
        "PYTHONPATH=/opt/jobd/code:/opt/jobd/libraries\nPYTHONDONTWRITEBYTECODE=1\n"
    )
    (files / "etc/jobd/jobd.toml").write_text('app = "shop:app"\n[queues.q]\nprocesses = 2\n')
    return files


class Service:
    """The unit in the machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def systemctl(self, *arguments: str, check: bool = True) -> int:
        return self.machine.run("systemctl", *arguments, "jobd", check=check).returncode

    def show(self, name: str) -> str:
        return self.machine.run("systemctl", "show", "--value", "-p", name, "jobd").stdout.strip()

    def jobd(self, *arguments: str) -> Any:
        command = 'set -a; . /etc/jobd/environment; cd /opt/jobd; exec "$@"'
        done = self.machine.run(
            "sh", "-c", command, "sh", JOBD, *arguments, "-c", "/etc/jobd/jobd.toml", "--json"
        )
        return json.loads(done.stdout)

    def add(self, task: str, *arguments: str) -> str:
        job: str = self.jobd("enqueue", "q", task, *arguments)["id"]
        return job

    def job(self, job_id: str) -> Any:
        return self.jobd("jobs", "show", job_id)

    def ended(self, job_id: str) -> Any:
        """Wait for a job's end; give what is recorded."""
        return eventually(lambda: self._finished(job_id), within=25)

    def _finished(self, job_id: str) -> Any:
        info = self.job(job_id)
        return info if info["finished_at"] else None

    def workers(self) -> list[dict[str, Any]]:
        daemon = self.jobd("status", "--runtime-dir", "/run/jobd")["daemon"]
        return [w for w in daemon["workers"] if w["phase"] in ("idle", "busy")] if daemon else []

    def journal(self) -> list[dict[str, str]]:
        lines = self.machine.run("journalctl", "-u", "jobd", "-o", "json", "--no-pager").stdout
        return [json.loads(line) for line in lines.splitlines()]


@pytest.fixture
def service(machine: Machine) -> Iterator[Service]:
    """The unit, started; stopped afterwards, with nothing failed left behind."""
    unit = Service(machine)
    unit.systemctl("start")
    yield unit
    unit.systemctl("stop")
    unit.systemctl("reset-failed", check=False)


@booted
def test_it_is_ready_when_the_app_is_loaded_and_workers_run(service: Service) -> None:
    """`systemctl start` returns then and not before: an import that hangs keeps it waiting."""
    service.systemctl("stop")
    gate = service.machine.path("/opt/jobd/hold")
    gate.touch()
    service.systemctl("start", "--no-block")
    eventually(lambda: "preloader" in service.machine.run("ps", "ax").stdout, within=20)
    assert service.show("ActiveState") == "activating"

    gate.unlink()
    eventually(lambda: service.show("ActiveState") == "active", within=20)

    assert service.show("StatusText") == "running: 2 of 2 workers"
    assert service.ended(service.add("double", "--arg", "n=21"))["result"] == 42


@booted
def test_a_stop_drains(service: Service) -> None:
    """What runs may end; the service then ends well, with nothing left claimed."""
    job = service.add("waits_for", "--arg", "path=/var/lib/jobd/go")
    eventually(lambda: service.job(job)["state"] == "active", within=20)
    service.systemctl("stop", "--no-block")
    eventually(lambda: service.show("ActiveState") == "deactivating", within=20)
    service.machine.path("/var/lib/jobd/go").touch()
    eventually(lambda: service.show("ActiveState") == "inactive", within=20)

    assert (service.show("Result"), service.job(job)["state"]) == ("success", "completed")


@booted
def test_a_drain_that_takes_longer_than_the_unit_allows_is_given_the_time(service: Service) -> None:
    """The daemon asks for it, again and again; how long it may be is its own to bound."""
    override = service.machine.path("/run/systemd/system/jobd.service.d/limits.conf")
    override.parent.mkdir(parents=True)
    override.write_text("[Service]\nTimeoutStopSec=1s\n")
    service.machine.run("systemctl", "daemon-reload")
    job = service.add("waits_for", "--arg", "path=/var/lib/jobd/patience")
    eventually(lambda: service.job(job)["state"] == "active", within=20)
    service.systemctl("stop", "--no-block")
    eventually(lambda: service.show("ActiveState") == "deactivating", within=20)
    asked = time.monotonic()
    eventually(lambda: time.monotonic() - asked > 3, within=20)
    assert service.show("ActiveState") == "deactivating"
    service.machine.path("/var/lib/jobd/patience").touch()
    eventually(lambda: service.show("ActiveState") == "inactive", within=20)
    shutil.rmtree(override.parent)
    service.machine.run("systemctl", "daemon-reload")

    assert (service.show("Result"), service.job(job)["state"]) == ("success", "completed")


@booted
def test_the_doctor_finds_the_unit_and_nothing_wrong_with_it(service: Service) -> None:
    """It asks systemd about the service that the daemon's control group names."""
    checks = service.jobd("doctor", "--runtime-dir", "/run/jobd")["checks"]

    found = {check["name"]: check for check in checks}
    assert found["stop.systemd"]["level"] == "ok", found["stop.systemd"]
    assert "jobd.service" in found["stop.systemd"]["found"]
    assert not {"stop.kill_mode", "stop.watchdog", "stop.oom_policy"} & set(found)
    assert found["daemon.running"]["level"] == "ok", found["daemon.running"]
    assert [check for check in checks if check["level"] == "error"] == []


@booted
def test_a_killed_supervisor_is_back_and_its_jobs_run_at_once(service: Service) -> None:
    """The runtime directory outlives it, so nobody waits for a lease of 30 s to end."""
    job = service.add("waits_for", "--arg", "path=/var/lib/jobd/later")
    eventually(lambda: service.job(job)["state"] == "active", within=20)
    before = {worker["pid"] for worker in service.workers()}
    pid = service.show("MainPID")
    service.machine.run("kill", "-KILL", pid)
    eventually(lambda: service.show("MainPID") not in ("0", pid), within=20)
    eventually(lambda: len(service.workers()) == 2, within=20)
    service.machine.path("/var/lib/jobd/later").touch()

    info = service.ended(job)

    assert (info["state"], info["lost"], info["crashes"]) == ("completed", 1, 0)
    assert info["finished_at"] - info["enqueued_at"] < 25_000
    assert service.show("NRestarts") == "1"
    assert not before & {worker["pid"] for worker in service.workers()}


@booted
def test_a_supervisor_that_hangs_is_restarted(service: Service) -> None:
    """The watchdog hears its loop, and nobody else."""
    override = service.machine.path("/run/systemd/system/jobd.service.d/watchdog.conf")
    override.parent.mkdir(parents=True)
    override.write_text("[Service]\nWatchdogSec=1s\n")
    service.machine.run("systemctl", "daemon-reload")
    service.systemctl("restart")
    pid = service.show("MainPID")
    service.machine.run("kill", "-STOP", pid)
    eventually(lambda: service.show("MainPID") not in ("0", pid), within=20)
    shutil.rmtree(override.parent)
    service.machine.run("systemctl", "daemon-reload")

    assert "watchdog" in json.dumps([line["MESSAGE"] for line in service.journal()]).lower()


@booted
def test_a_reload_takes_new_code_over_or_fails_and_changes_nothing(service: Service) -> None:
    """`systemctl reload` returns when new workers are up; main process and what runs stay."""
    code = service.machine.path("/opt/jobd/shop.py")
    good = code.read_text()
    job = service.add("waits_for", "--arg", "path=/var/lib/jobd/old")
    eventually(lambda: service.job(job)["state"] == "active", within=20)
    pid = service.show("MainPID")
    try:
        code.write_text(good.replace("return 2 * n", "return 3 * n") + "\n")
        assert service.systemctl("reload") == 0
        assert service.ended(service.add("double", "--arg", "n=7"))["result"] == 21
        code.write_text("import nowhere")
        assert service.systemctl("reload", check=False) != 0
        assert service.show("ActiveState") == "active"
        assert service.ended(service.add("double", "--arg", "n=7"))["result"] == 21
    finally:
        code.write_text(good)
    service.machine.path("/var/lib/jobd/old").touch()
    assert service.ended(job)["state"] == "completed"
    assert service.show("MainPID") == pid


@booted
def test_what_cannot_be_served_is_not_tried_again(service: Service) -> None:
    """`systemctl start` fails, says why in the journal, and systemd leaves it at that."""
    service.systemctl("stop")
    code = service.machine.path("/opt/jobd/shop.py")
    good = code.read_text()
    code.write_text("import nowhere")
    try:
        assert service.systemctl("start", check=False) != 0
        assert (service.show("ExecMainStatus"), service.show("NRestarts")) == ("78", "0")
        assert service.show("ActiveState") == "failed"
    finally:
        code.write_text(good)
    said = [line for line in service.journal() if "No module named 'nowhere'" in line["MESSAGE"]]
    # A refused reload, as in another test, is told by the command; that is no line of the daemon.
    last = [line for line in said if not line["MESSAGE"].startswith("jobd: reload: ")]
    assert {line["PRIORITY"] for line in last} == {"3"}


@booted
def test_journal_lines_have_priorities(service: Service) -> None:
    """So that `journalctl -p warning` shows what somebody should look at."""
    service.ended(service.add("fails"))
    parked = service.add("from-the-future")
    eventually(lambda: service.job(parked)["state"] == "delayed", within=20)

    levels = {line["MESSAGE"].split()[1]: line["PRIORITY"] for line in service.journal()
              if line["MESSAGE"].startswith(("supervisor: ", "worker: ", "keeper: "))}  # fmt: skip

    assert levels["daemon.ready"] == "6"
    assert levels["task.unknown"] == "4"
    assert levels["job.dead"] == "3"


@booted
def test_an_ordinary_job_may_do_what_jobs_do(service: Service) -> None:
    """A battery of actions inside the unit's walls: what is refused is known by name."""
    info = service.ended(service.add("battery"))

    assert info["state"] == "completed", info["error"]
    outcome: dict[str, str] = info["result"]
    assert {name for name, said in outcome.items() if said != "ok"} == REFUSED, outcome
