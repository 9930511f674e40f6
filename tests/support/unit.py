"""The units of systemd/, installed in a machine as packaging/README.md says, and one of them at work."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jobd import Jobd, JobHandle
from jobd.seams import statefile
from jobd.seams.statefile import SlotState, State
from support.machine import Machine
from support.servers import eventually, server_programs

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "systemd"
APP = ROOT / "tests" / "systemd" / "shop.py.txt"
JOBD = "/opt/jobd/venv/bin/jobd"
PYTHON = f"/opt/python/bin/python{sys.version_info.major}.{sys.version_info.minor}"
# Nobody who reads a log may find it there.
CANARY = "kv4rt8-canary"
URL = f"unix://:{CANARY}@/run/redis.sock"
CREDENTIAL = "/etc/jobd/credentials/redis-url"


@contextlib.contextmanager
def machine(top: Path) -> Iterator[Machine]:
    """Boot one with jobd in /opt/jobd, its units, and a Redis that asks for a password."""
    booted = Machine(top, _files(top / "files"), _binds())
    try:
        booted.run("systemd-sysusers")
        booted.run("systemd-tmpfiles", "--create", "jobd.conf")
        secret = booted.path(CREDENTIAL)
        secret.write_text(f"{URL}\n")
        secret.chmod(0o600)
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
    users, tmpfiles = files / "usr/lib/sysusers.d", files / "usr/lib/tmpfiles.d"
    journal = files / "etc/systemd/journald.conf.d"
    for folder in (
        units,
        users,
        tmpfiles,
        journal,
        files / "etc/jobd",
        files / "opt/jobd/venv/bin",
    ):
        folder.mkdir(parents=True)
    (journal / "test.conf").write_text("[Journal]\nStorage=volatile\nReadKMsg=no\n")
    for unit in (*UNITS.glob("*.service"), *UNITS.glob("*.socket")):
        shutil.copy(unit, units)
    shutil.copy(UNITS / "jobd.sysusers", users / "jobd.conf")
    shutil.copy(UNITS / "jobd.tmpfiles", tmpfiles / "jobd.conf")
    shutil.copy(APP, files / "opt/jobd/shop.py")
    (units / "redis.service").write_text(
        "[Service]\nExecStart=/opt/redis-server --port 0 --unixsocket /run/redis.sock "
        f"--unixsocketperm 777 --dir /run --save 3600 1 --requirepass {CANARY}\n"
        "ExecStartPost=/bin/sh -c 'until [ -S /run/redis.sock ]; do sleep 0.05; done'\n"
    )
    (files / "opt/jobd/venv/bin/jobd").write_text(
        f"#!{PYTHON}\nimport sys\nfrom jobd.cli.main import main\nsys.exit(main())\n"
    )
    (files / "opt/jobd/venv/bin/jobd").chmod(0o755)
    (files / "etc/jobd/environment").write_text(
        "LD_LIBRARY_PATH=/opt/python/lib\n"
        "PYTHONPATH=/opt/jobd/code:/opt/jobd/libraries\nPYTHONDONTWRITEBYTECODE=1\n"
    )
    (files / "etc/jobd/jobd.toml").write_text(
        'app = "shop:app"\n[redis]\nurl_file = "redis-url"\n[queues.q]\nprocesses = 2\n'
    )
    return files


class Service:
    """One unit in the machine, seen from outside: its Redis, its state and its journal."""

    def __init__(self, machine: Machine, name: str = "jobd", namespace: str = "jobd") -> None:
        self.machine = machine
        self.name = name
        self.runtime = "/run/" + name.replace("@", "-")
        self.toml = f"/etc/jobd/{name.rpartition('@')[2]}.toml"
        socket = machine.path("/run/redis.sock")
        self.app = Jobd(f"unix://:{CANARY}@{socket}", namespace=namespace)
        self.queue = self.app.queue("q")

    def systemctl(self, *arguments: str, check: bool = True) -> int:
        return self.machine.run("systemctl", *arguments, self.name, check=check).returncode

    def show(self, *names: str) -> Any:
        """Read one property, or several as a dict."""
        asked = [word for name in names for word in ("-p", name)]
        said = self.machine.run("systemctl", "show", *asked, self.name).stdout
        found = dict(line.partition("=")[::2] for line in said.splitlines())
        return found[names[0]] if len(names) == 1 else found

    def becomes(self, state: str) -> None:
        eventually(lambda: self.show("ActiveState") == state)

    @contextlib.contextmanager
    def override(self, text: str) -> Iterator[None]:
        """Loosen or tighten the unit for a while."""
        name = f"{self.name.partition('@')[0]}{'@' * ('@' in self.name)}.service.d"
        file = self.machine.path(f"/run/systemd/system/{name}/test.conf")
        file.parent.mkdir(parents=True)
        file.write_text(text)
        self.machine.run("systemctl", "daemon-reload")
        try:
            yield
        finally:
            shutil.rmtree(file.parent)
            self.machine.run("systemctl", "daemon-reload")

    def jobd(self, *arguments: str) -> Any:
        """Ask the command line, as root in a shell would."""
        command = 'set -a; . /etc/jobd/environment; cd /opt/jobd; exec "$@"'
        done = self.machine.run(
            "sh", "-c", command, "sh",
            "env", "CREDENTIALS_DIRECTORY=/etc/jobd/credentials",
            JOBD, *arguments, "-c", self.toml, "--json",
        )  # fmt: skip
        return json.loads(done.stdout)

    def add(self, task: str, /, **arguments: Any) -> JobHandle[Any]:
        return self.queue.add(task, arguments)

    def running(self, task: str, /, **arguments: Any) -> JobHandle[Any]:
        """Add a job and wait until it runs."""
        job = self.add(task, **arguments)
        eventually(lambda: job.state() == "active")
        return job

    def touch(self, path: str) -> None:
        self.machine.path(path).touch()

    def state(self) -> State | None:
        return statefile.read(self.machine.path(self.runtime))

    def workers(self) -> list[SlotState]:
        """List those that run, by the word of the daemon that runs now."""
        state = self.state()
        if state is None or str(state.pid) != self._pid_inside():
            return []
        return [
            slot for queue in state.queues.values() for slot in queue if slot.phase == "running"
        ]

    def _pid_inside(self) -> str:
        return str(self.show("MainPID"))

    def settled(self, count: int) -> list[SlotState]:
        """Wait until so many workers run; give them."""

        def look() -> list[SlotState] | None:
            found = self.workers()
            return found if len(found) == count else None

        return eventually(look)

    def settled_state(self) -> State:
        """Give the state of the daemon that runs now."""
        self.settled(2)
        state = self.state()
        assert state is not None
        return state

    def journal(self, *matches: str) -> list[dict[str, Any]]:
        """Read what journalctl shows of the unit."""
        lines = self.machine.run(
            "journalctl", "-u", self.name, *matches, "-o", "json", "--no-pager"
        ).stdout
        return [json.loads(line) for line in lines.splitlines()]

    def now(self) -> str:
        """Give the time, as `journalctl --since` reads it."""
        return f"@{time.time():.3f}"
