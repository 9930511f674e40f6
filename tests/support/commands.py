"""The real command in a directory of its own: an app, a configuration, and `jobd ...` beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from jobd.cli.main import main
from support.daemons import end_all
from support.records import said
from support.servers import eventually

APP = """
import time
from typing import Any, NamedTuple
from jobd import Jobd

app = Jobd()
q = app.queue("q")

@q.task()
def double(n: int) -> int:
    return 2 * n

@q.task()
def echo(n: Any) -> Any:
    return n

@q.task()
def waits_for(path: str) -> str:
    import os
    while not os.path.exists(path):
        time.sleep(0.01)
    return "waited"
"""


class Place:
    """A directory with shop.py and jobd.toml. `end` leaves no process behind."""

    def __init__(self, directory: Path, url: str, *, app: str = APP, more: str = "") -> None:
        self.directory = directory
        self.log = directory / "daemon.log"
        self._started: list[subprocess.Popen[bytes]] = []
        self.write(app)
        (directory / "jobd.toml").write_text(
            f'app = "shop:app"\n[redis]\nurl = "{url}"\n'
            f'[daemon]\nruntime_dir = "{directory / "run"}"\nlease = "3s"\n'
            f'drain_timeout = "5s"\nlog = {{ format = "json" }}\n{more}'
        )

    def write(self, app: str) -> None:
        """Write the app's code. A changed file of the same size and second would look unchanged."""
        path = self.directory / "shop.py"
        path.write_text(app)
        later = time.time() + len(app)
        os.utime(path, (later, later))

    def start(self, *arguments: str, within: Path | None = None) -> subprocess.Popen[bytes]:
        """Start `jobd ARGUMENTS`, which says everything into the log; `within` as from a shell there."""
        where = within or self.directory
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "jobd", *arguments],
                cwd=where, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=_clean() | {"PWD": str(where)},
            )  # fmt: skip
        self._started.append(process)
        return process

    def jobd(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `jobd ARGUMENTS` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "jobd", *arguments],
            cwd=self.directory, capture_output=True, text=True, check=False, env=_clean(),
        )  # fmt: skip

    def ask(self, *arguments: str) -> Any:
        """Run `jobd ARGUMENTS --json`; give what it printed."""
        done = self.jobd(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def events(self, name: str) -> list[dict[str, Any]]:
        """Read what the daemon has said under one name."""
        return said(self.log, name)

    def ready(self) -> None:
        """Wait until the daemon started last says that it is ready."""
        starts = len(self.events("daemon.started"))
        eventually(lambda: len(self.events("daemon.ready")) >= max(1, starts))

    def kill(self) -> None:
        """End it all at once, where the end is not what is looked at."""
        for process in self._started:
            end_all(process)

    def end(self) -> None:
        """End what was started here and has not ended."""
        for process in self._started:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    end_all(process)


class Said(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


Run = Callable[..., Said]


def commands(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Give what runs a command there, in this process, which costs a tenth of starting one."""
    monkeypatch.chdir(place.directory)
    monkeypatch.delenv("JOBD_REDIS_URL", raising=False)
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)

    def command(*arguments: str) -> Said:
        capsys.readouterr()
        return Said(main(arguments), *capsys.readouterr())

    return command


def _clean() -> dict[str, str]:
    hidden = ("JOBD_REDIS_URL", "RUNTIME_DIRECTORY", "NO_COLOR", "FORCE_COLOR")
    return {name: value for name, value in os.environ.items() if name not in hidden}
