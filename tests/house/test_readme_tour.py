"""The tour of the README, as a newcomer takes it: from an empty directory, with what pip installs.

The wheel is built from this tree; libraries are those of the tests, so that nothing is downloaded.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.documents import ROOT, block, commands
from support.servers import eventually
from support.web import free_port

pytestmark = pytest.mark.process
INSTALL = block("README.md", "python3 -m venv")
FILES = (block("README.md", "# shop/jobs.py"), block("README.md", "# add.py"))
[DEV] = commands(block("README.md", "jobd dev shop.jobs:app"))
TRIED = block("README.md", "python add.py")
INIT = block("README.md", "jobd init shop.jobs:app")
RUN, *LOOKS = commands(block("README.md", "jobd run "))


class Newcomer:
    """A directory, a shell, and what they have installed. No Redis is named."""

    def __init__(self, top: Path, wheels: Path) -> None:
        self.top = top
        run = top / "run"
        run.mkdir(mode=0o700)
        # What pip would find on PyPI is beside it; libraries are put there afterwards.
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(top), "TMPDIR": "/tmp", "PYTHONUNBUFFERED": "1",
            "XDG_RUNTIME_DIR": str(run), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels),
            "PIP_NO_DEPS": "1", "PIP_CONFIG_FILE": "/dev/null", "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }  # fmt: skip

    def does(self, command: str, *, within: float = 60) -> str:
        """Type it; give what is shown."""
        done = subprocess.run(
            ["sh", "-c", command], cwd=self.top, env=self.environment, capture_output=True, text=True,
            check=False, timeout=within,
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def follows(self, text: str) -> None:
        """Type each command of a block; it shows what the README says."""
        for command in commands(text):
            assert command.prints in self.does(command.line), command.line

    @contextlib.contextmanager
    def serves(self, command: str, shows: str) -> Iterator[re.Match[str]]:
        """Leave it running in a terminal of its own, from when it shows something; TERM ends it well."""
        log = self.top / f"{'-'.join(command.split()[:2])}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["sh", "-c", f"exec {command}"], cwd=self.top, env=self.environment, stdout=output,
                stderr=output, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        try:
            yield eventually(lambda: re.search(shows, log.read_text()), within=60)
        finally:
            process.terminate()
            assert process.wait(60) == 0, log.read_text()


@pytest.fixture(scope="module")
def wheels() -> Iterator[Path]:
    """What `pip install jobd` would be given, of this tree."""
    with tempfile.TemporaryDirectory(prefix="jobd-wheel-") as name:
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", name],
            cwd=ROOT, check=True, capture_output=True,
        )  # fmt: skip
        yield Path(name)


def installed(newcomer: Newcomer) -> None:
    """Carry out the installation; what it activates holds for all terminals."""
    path = f"{newcomer.top}/venv/bin:{newcomer.environment['PATH']}"
    newcomer.does("set -e\n" + INSTALL, within=200)
    newcomer.environment["PATH"] = path
    [site] = newcomer.top.glob("venv/lib/python3*/site-packages")
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    said = newcomer.does("python -c 'import jobd; print(jobd.__file__)'")
    assert said.startswith(str(newcomer.top)), "not the installed one"


@pytest.mark.timeout(300)
def test_the_tour_can_be_taken(tmp_path: Path, wheels: Path, redis_url: str) -> None:
    """As it is written: to a first job, to one that died, to a checked configuration and a service."""
    newcomer = Newcomer(tmp_path, wheels)
    installed(newcomer)
    for source in FILES:
        path = tmp_path / source.partition("\n")[0].removeprefix("# ")
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
    with newcomer.serves(DEV.line, r"export (JOBD_REDIS_URL)=(\S+)") as told:
        newcomer.environment[told[1]] = told[2]
        newcomer.follows(TRIED)
    newcomer.environment["JOBD_REDIS_URL"] = redis_url
    newcomer.follows(INIT)
    _on_a_port_of_its_own(tmp_path / "jobd.toml")
    with newcomer.serves(RUN.line, "daemon.ready"):
        # Its worker is in Redis a moment after it was started.
        eventually(lambda: "email" in newcomer.does("jobd queues list"), within=60)
        shown = {command.line: newcomer.does(command.line) for command in LOOKS}
    assert re.search(r"(?s)daemon +running.*WORKER.*email\.1.*QUEUE.*email ", shown["jobd status"])
    assert "0 errors" in shown["jobd doctor"]


def _on_a_port_of_its_own(toml: Path) -> None:
    text = toml.read_text()
    assert "127.0.0.1:9180" in text
    toml.write_text(text.replace("127.0.0.1:9180", f"127.0.0.1:{free_port()}"))
