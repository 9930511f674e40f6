"""The Debian package in a real systemd: installed, upgraded under load, removed, purged.

Needs root, systemd, debhelper and an index of Python packages; skipped where they are missing.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.documents import block, commands
from support.machine import Machine, lacking
from support.servers import eventually, server_programs

ROOT = Path(__file__).parents[2]
APP = Path(__file__).with_name("shop.py.txt")
COUNTS = ("crashes", "lost", "failed", "timeouts")
JOBS = 500
# What makes it is installed here by whoever runs the tests: `_missing` looks for it.
_TOOLS, MAKE, INSTALL = commands(block("packaging/README.md", "build-deb dist"))
START = block("packaging/README.md", "systemctl enable --now jobd\n")
ENVIRONMENT = "JOBD_REDIS_URL=unix:///run/redis.sock\n"


def _missing() -> str | None:
    for program in ("dh", "dh_installsysusers", "dpkg-buildpackage"):
        if shutil.which(program) is None:
            return f"no {program}"
    probe = subprocess.run(["/usr/bin/python3", "-c", "import ensurepip"], check=False)
    return lacking() if probe.returncode == 0 else "no python3-venv"


MISSING = _missing()
pytestmark = [
    pytest.mark.chaos,
    pytest.mark.skipif(MISSING is not None, reason=f"no package can be made or tried: {MISSING}"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def packages() -> Iterator[Path]:
    """A directory with this tree's package and one of a later version."""
    with tempfile.TemporaryDirectory(prefix="jobd-deb-") as name:
        top = Path(name)
        made = subprocess.run(
            MAKE.line.replace(" dist", f" {top}").split(),
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert made.returncode == 0, made.stdout + made.stderr
        [package] = top.glob("*.deb")
        package.rename(top / "old.deb")
        _later(top / "old.deb", top / "new.deb", top / "unpacked")
        yield top


def _later(old: Path, new: Path, space: Path) -> None:
    """Make the next version: another number, and code that says so."""
    subprocess.run(["dpkg-deb", "-R", str(old), str(space)], check=True)
    control = space / "DEBIAN/control"
    control.write_text(control.read_text().replace("\nVersion: ", "\nVersion: 99."))
    [module] = space.glob("usr/lib/jobd/lib/*/site-packages/jobd/__init__.py")
    module.write_text(module.read_text() + "\nNEXT = True\n")
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Znone", "-b", str(space), str(new)],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    shutil.rmtree(space)


class Host:
    """A machine with the packages at hand, a Redis, and no user `jobd`."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.run = machine.run
        for file in ("/etc/passwd", "/etc/group"):
            self.run("sed", "-i", "/^jobd:/d", file)
        # Images for containers have one that forbids whatever a package wants to start or stop.
        self.run("rm", "-f", "/usr/sbin/policy-rc.d")
        self.run("systemctl", "start", "redis.service")

    def dpkg(self, *arguments: str) -> str:
        return self.run("env", "DEBIAN_FRONTEND=noninteractive", "dpkg", *arguments).stdout

    def show(self, name: str, unit: str = "jobd") -> str:
        return self.run("systemctl", "show", "--value", "-p", name, unit).stdout.strip()

    def jobd(self, *arguments: str) -> Any:
        command = 'set -a; . /etc/jobd/environment; cd /opt/jobd; exec jobd "$@"'
        done = self.run(
            "sh", "-c", command, "sh", *arguments, "-c", "/etc/jobd/jobd.toml", "--json"
        )
        return json.loads(done.stdout)

    def add(self, task: str, *arguments: str) -> str:
        job: str = self.jobd("enqueue", "q", task, *arguments)["id"]
        return job

    def job(self, job_id: str) -> Any:
        return self.jobd("jobs", "show", job_id)

    def ran(self) -> list[int]:
        """Give what the app has written down, of jobs with a number from 0 on."""
        text = self.machine.path("/var/lib/jobd/ran").read_text()
        return [n for n in map(int, text.split()) if n >= 0]

    def exists(self, path: str) -> bool:
        # Not self.machine.path: a link there leads out of the machine.
        return self.run("test", "-e", path, check=False).returncode == 0


@pytest.fixture(scope="module")
def host(packages: Path) -> Iterator[Host]:
    with tempfile.TemporaryDirectory(prefix="jobd-machine-") as name:
        top = Path(name)
        files = top / "files"
        units = files / "etc/systemd/system"
        units.mkdir(parents=True)
        (units / "redis.service").write_text(
            "[Service]\nExecStart=/opt/redis-server --port 0 --unixsocket /run/redis.sock "
            "--unixsocketperm 777 --dir /run --save 3600 1\n"
            "ExecStartPost=/bin/sh -c 'until [ -S /run/redis.sock ]; do sleep 0.05; done'\n"
        )
        (files / "opt/jobd").mkdir(parents=True)
        shutil.copy(APP, files / "opt/jobd/shop.py")
        program = next(iter(server_programs().values()))
        machine = Machine(top, files, {packages: "/packages", Path(program): "/opt/redis-server"})
        try:
            yield Host(machine)
        finally:
            machine.close()


def test_installed_it_runs_nothing_and_has_what_it_needs(host: Host) -> None:
    """A user, a configuration that says what is to be done, a command; and no service that fails."""
    # There is no network to ask what else there is: what it depends on is here.
    host.run("mkdir", "/dist")
    host.run("cp", "/packages/old.deb", "/dist/jobd_0.deb")
    host.run("sh", "-c", f"cd /; DEBIAN_FRONTEND=noninteractive {INSTALL.line} -y")

    assert host.run("getent", "passwd", "jobd").returncode == 0
    assert host.show("ActiveState") == "inactive"
    assert host.show("UnitFileState") == "disabled"
    assert host.run("stat", "-c", "%A %U %G", "/etc/jobd/jobd.toml", "/etc/jobd/environment").stdout \
        == "-rw-r----- root jobd\n-rw-r----- root root\n"  # fmt: skip
    refused = host.run("jobd", "check", "-c", "/etc/jobd/jobd.toml", check=False)
    assert (refused.returncode, "app" in refused.stdout) == (78, True)
    assert host.exists("/usr/share/man/man1/jobd.1.gz")
    completion = host.run(
        "bash", "-c", ". /usr/share/bash-completion/completions/jobd; complete -p"
    )
    assert "jobd" in completion.stdout
    verified = host.run("systemd-analyze", "verify", "--man=no", "/lib/systemd/system/jobd.service")
    assert verified.stderr == ""


def test_configured_and_started_it_works(host: Host) -> None:
    """By what packaging/README.md says: name the app and Redis, enable, start."""
    toml = host.machine.path("/etc/jobd/jobd.toml")
    toml.write_text('app = "shop:app"\n[queues.q]\nprocesses = 2\n')
    environment = host.machine.path("/etc/jobd/environment")
    environment.write_text(ENVIRONMENT)

    host.run("sh", "-c", START)

    assert host.show("ActiveState") == "active"
    job = host.add("notes", "--arg", "n=-1")
    eventually(lambda: host.job(job)["state"] == "completed")
    owner = host.run("ps", "-o", "user=", "-p", host.show("MainPID")).stdout.strip()
    assert owner == "jobd"


def test_an_upgrade_drains_and_loses_nothing(host: Host) -> None:
    """What runs is finished by the old version, what waits is run by the new one, each once."""
    toml = host.machine.path("/etc/jobd/jobd.toml").read_text()
    host.machine.path("/opt/jobd/lines").write_text(
        "".join(json.dumps({"args": {"n": n}}) + "\n" for n in range(JOBS))
    )
    slow = host.add("waits_for", "--arg", "path=/var/lib/jobd/go")
    eventually(lambda: host.job(slow)["state"] == "active")
    host.jobd("enqueue", "q", "notes", "--from", "/opt/jobd/lines", "--id-prefix", "n")
    eventually(lambda: len(host.ran()) > 20)
    before = host.show("MainPID")

    with ThreadPoolExecutor(1) as side:
        upgrade = side.submit(host.dpkg, "-i", "/packages/new.deb")
        eventually(lambda: host.show("ActiveState") == "deactivating")
        assert not upgrade.done()
        before_the_upgrade = len(host.ran())
        host.machine.path("/var/lib/jobd/go").touch()
        upgrade.result()

    assert host.show("ActiveState") == "active"
    assert host.show("MainPID") not in ("0", before)
    assert host.run("dpkg-query", "-W", "-f=${Version}", "jobd").stdout.startswith("99.")
    assert host.machine.path("/etc/jobd/jobd.toml").read_text() == toml
    eventually(lambda: len(host.ran()) >= JOBS, within=60)
    assert before_the_upgrade < JOBS
    eventually(lambda: host.job(slow)["state"] == "completed")
    assert sorted(host.ran()) == list(range(JOBS))
    ended = [host.job(job) for job in (slow, *(f"n.{n + 1}" for n in range(0, JOBS, 20)))]
    assert [[job[count] for count in COUNTS] for job in ended] == [[0] * len(COUNTS)] * len(ended)
    assert host.run("systemctl", "--failed", "--no-legend").stdout == ""


def test_instances_are_upgraded_too_and_what_was_stopped_stays_so(host: Host) -> None:
    """Installing a package stops and starts just what ran."""
    host.run("systemctl", "stop", "jobd")
    host.machine.path("/etc/jobd/second.toml").write_text(
        'app = "shop:app"\n[redis]\nurl_file = "redis-url"\nnamespace = "second"\n'
    )
    host.machine.path("/etc/jobd/environment").write_text("")
    secret = host.machine.path("/etc/jobd/credentials/second/redis-url")
    secret.parent.mkdir()
    secret.write_text("unix:///run/redis.sock\n")
    host.run("systemctl", "start", "jobd@second")
    before = host.show("MainPID", "jobd@second")

    host.dpkg("-i", "/packages/new.deb")

    assert host.show("ActiveState") == "inactive"
    assert host.show("ActiveState", "jobd@second") == "active"
    assert host.show("MainPID", "jobd@second") not in ("0", before)
    assert not host.exists("/run/jobd.was-running")
    host.machine.path("/etc/jobd/environment").write_text(ENVIRONMENT)
    host.run("systemctl", "start", "jobd")


def test_removed_its_configuration_stays(host: Host) -> None:
    """The service is stopped, nothing of the program is left."""
    host.dpkg("-r", "jobd")

    assert host.show("LoadState") == "not-found"
    assert host.run("pgrep", "-u", "jobd", check=False).stdout == ""
    left = ("/usr/lib/jobd", "/usr/bin/jobd", "/lib/systemd/system/jobd.service")
    assert [path for path in left if host.exists(path)] == []
    assert host.exists("/etc/jobd/jobd.toml")
    assert host.exists("/var/lib/jobd/ran")


def test_installed_again_it_is_as_it_was(host: Host) -> None:
    """The old configuration holds, and the service is enabled as it had been."""
    host.dpkg("-i", "/packages/old.deb")

    assert host.jobd("check")["ok"] is True
    host.run("systemctl", "start", "jobd")
    job = host.add("notes", "--arg", "n=-2")
    eventually(lambda: host.job(job)["state"] == "completed")


def test_purged_it_leaves_its_user_and_nothing_else(host: Host) -> None:
    """Configuration and data go. A number of a user is not given to another: he stays."""
    host.dpkg("-P", "jobd")

    left = ("/etc/jobd", "/var/lib/jobd", "/run/jobd", "/usr/lib/jobd", "/run/jobd.was-running")
    assert [path for path in left if host.exists(path)] == []
    assert host.run("find", "/etc/systemd", "-name", "jobd*").stdout == ""
    assert host.run("dpkg-query", "-W", "jobd", check=False).returncode != 0
    assert host.run("getent", "passwd", "jobd").returncode == 0


has_lintian = pytest.mark.skipif(shutil.which("lintian") is None, reason="no lintian here")


@has_lintian
def test_lintian_has_no_complaint(packages: Path) -> None:
    """Those that are meant to be so are named, with the reason, in jobd.lintian-overrides."""
    said = subprocess.run(
        ["lintian", "--allow-root", "--fail-on", "error,warning", str(packages / "old.deb")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (said.returncode, said.stdout) == (0, "")
