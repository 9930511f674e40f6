"""A service by hand, by packaging/README.md alone: its commands, one after the other, on a new machine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.documents import block
from support.machine import Machine, lacking
from support.servers import eventually, server_programs

ROOT = Path(__file__).parents[2]
USER = block("packaging/README.md", "systemd-sysusers jobd.conf")
CONFIG = block("packaging/README.md", "jobd init shop.jobs:app")
SECRET = block("packaging/README.md", "echo 'redis://:password@")
INSTALL = block("packaging/README.md", "systemd-analyze verify")
OVERRIDE = block("packaging/README.md", "systemctl edit jobd")
SOCKET = block("packaging/README.md", "jobd.socket\nsystemctl start")
# The machine has no network, and the application is the test's.
INSTEAD = {
    "/path/to/jobd/checkout": "/checkout",
    "/path/to/your/application": "/application",
    "redis://:password@redis.example:6379/0": "unix:///run/redis.sock",
}
PYTHON = "/usr/bin/python3"
MISSING = lacking()
if (
    MISSING is None
    and subprocess.run([PYTHON, "-c", "import ensurepip"], check=False).returncode != 0
):
    MISSING = "no python3-venv"
pytestmark = [
    pytest.mark.chaos,
    pytest.mark.timeout(600),
    pytest.mark.skipif(MISSING is not None, reason=f"no machine to install on: {MISSING}"),
]
PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "shop"
version = "1"
"""
APP = """
from jobd import Jobd
app = Jobd()
q = app.queue("q")
@q.task()
def double(n: int) -> int:
    return 2 * n
"""


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """A machine with a Redis, a checkout, an application, and what PyPI would give."""
    with tempfile.TemporaryDirectory(prefix="jobd-machine-") as name:
        top = Path(name)
        files = top / "files"
        _checkout(files / "checkout")
        (files / "application" / "shop").mkdir(parents=True)
        (files / "application" / "pyproject.toml").write_text(PROJECT)
        (files / "application" / "shop" / "__init__.py").touch()
        (files / "application" / "shop" / "jobs.py").write_text(APP)
        units = files / "etc/systemd/system"
        units.mkdir(parents=True)
        (units / "redis.service").write_text(
            "[Service]\nExecStart=/opt/redis-server --port 0 --unixsocket /run/redis.sock "
            "--unixsocketperm 777 --dir /run --save 3600 1\n"
            "ExecStartPost=/bin/sh -c 'until [ -S /run/redis.sock ]; do sleep 0.05; done'\n"
        )
        program = next(iter(server_programs().values()))
        wheels = _wheels(top, files / "checkout")
        booted = Machine(top, files, {wheels: "/wheels", Path(program): "/opt/redis-server"})
        try:
            for file in ("/etc/passwd", "/etc/group"):
                booted.run("sed", "-i", "/^jobd:/d", file)
            booted.run("systemctl", "start", "redis.service")
            yield booted
        finally:
            booted.close()


def _checkout(to: Path) -> None:
    to.mkdir(parents=True)
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / name, to)
    for name in ("jobd", "examples", "packaging", "systemd"):
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))


def _wheels(top: Path, checkout: Path) -> Path:
    subprocess.run([PYTHON, "-m", "venv", str(top / "tools")], check=True)
    subprocess.run(
        [str(top / "tools/bin/pip"), "wheel", "--quiet", "--wheel-dir", str(top / "wheels"),
         "hatchling", str(checkout)],
        check=True,
    )  # fmt: skip
    [own] = (top / "wheels").glob("jobd-*.whl")
    own.unlink()
    return top / "wheels"


def carried_out(machine: Machine, typed: str) -> str:
    """Run a block of the README."""
    for what, instead in INSTEAD.items():
        typed = typed.replace(what, instead)
    settings = "export PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels PIP_CONFIG_FILE=/dev/null; cd /checkout; set -eux\n"
    done = machine.run("sh", "-c", settings + typed, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def live(machine: Machine) -> bool:
    code = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9180/livez').status)"
    return machine.run(PYTHON, "-c", code, check=False).stdout == "200\n"


def test_by_its_commands_alone_the_service_runs(machine: Machine) -> None:
    """Up to a job that is done, and to the socket that systemd holds."""
    for typed in (USER, CONFIG, SECRET):
        carried_out(machine, typed)
    toml = machine.path("/etc/jobd/jobd.toml")
    toml.write_text(toml.read_text().replace("\n[redis]\n", '\n[redis]\nurl_file = "redis-url"\n'))

    assert carried_out(machine, INSTALL) == ""

    show = ("systemctl", "show", "--value", "-p", "ActiveState", "jobd")
    assert machine.run(*show).stdout == "active\n"
    jobd = "JOBD_REDIS_URL=unix:///run/redis.sock /opt/jobd/venv/bin/jobd"
    added = machine.run("sh", "-c", f"{jobd} enqueue q double --arg n=21 --json")
    job = json.loads(added.stdout)["id"]
    eventually(
        lambda: '"result":42' in machine.run(
            "sh", "-c", f"{jobd} jobs show {job} --json"
        ).stdout.replace(" ", ""),
        within=20,
    )  # fmt: skip
    carried_out(machine, SOCKET)
    eventually(lambda: live(machine))
    assert machine.run(*show).stdout == "active\n"
    edited(machine)
    stop = machine.run("systemctl", "show", "--value", "-p", "TimeoutStopUSec", "jobd")
    assert stop.stdout == "2min\n"


def edited(machine: Machine) -> None:
    """Carry out what is typed, and in the editor write what stands beside it."""
    command, said = OVERRIDE.partition("#")[0], re.findall(r"# (.*)", OVERRIDE)
    machine.path("/wanted").write_text("\n".join(said) + "\n")
    editor = machine.path("/writes")
    editor.write_text('#!/bin/sh\nfor file; do :; done\ncat /wanted > "$file"\n')
    editor.chmod(0o755)
    done = machine.run(
        "script", "-qec", f"SYSTEMD_EDITOR=/writes {command}", "/dev/null", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
