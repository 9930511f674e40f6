"""A server in a network namespace, whose packets can be dropped: a true black hole, SYNs included.

The kernel retransmits as it does in the world, so what was sent into the hole may arrive after it has
healed. Needs root and iproute2: `lacking` says what is missing here.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from support.servers import eventually

_NOBODY = "02:00:00:00:00:01"


def lacking() -> str | None:
    """Name what is missing for a namespace here; None when there is everything."""
    if os.getuid() != 0:
        return "not root"
    if shutil.which("ip") is None:
        return "no ip"
    name = f"jobdtry{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        return "namespaces cannot be made here"
    _ip("netns", "del", name)
    return None


class FarServer:
    """A server at the other end of a cable of its own."""

    def __init__(self, program: str, directory: Path) -> None:
        tag = os.getpid() % 60_000
        self._space = f"jobd{tag}"
        self._near, self._far = f"jn{tag}", f"jf{tag}"
        net = f"10.{201 + tag % 50}.{tag // 50 % 250}"
        self._address = f"{net}.2"
        self.url = f"redis://{self._address}:6379/0"
        _ip("netns", "add", self._space)
        _ip("link", "add", self._near, "type", "veth", "peer", "name", self._far)
        _ip("link", "set", self._far, "netns", self._space)
        _ip("addr", "add", f"{net}.1/30", "dev", self._near)
        _ip("link", "set", self._near, "up")
        _ip("-n", self._space, "addr", "add", f"{self._address}/30", "dev", self._far)
        _ip("-n", self._space, "link", "set", self._far, "up")
        shown = _ip("-n", self._space, "-br", "link", "show", "dev", self._far)
        self._mac = shown.split()[2]
        self.heal()
        self._socket = directory / "far.sock"
        self.admin_url = f"unix://{self._socket}"
        self._process = subprocess.Popen(
            [
                "ip", "netns", "exec", self._space, program, "--port", "6379",
                "--bind", self._address, "--unixsocket", str(self._socket), "--save", "",
                "--protected-mode", "no", "--dir", str(directory),
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            eventually(self._socket.exists)
        except BaseException:
            self.close()
            raise

    def drop(self) -> None:
        """Address every packet to nobody: each is lost without a word."""
        self._neighbour(_NOBODY)

    def heal(self) -> float:
        """Let packets arrive again; give the instant after that."""
        self._neighbour(self._mac)
        return time.monotonic()

    def _neighbour(self, mac: str) -> None:
        _ip("neigh", "replace", self._address, "lladdr", mac, "dev", self._near, "nud", "permanent")

    def close(self) -> None:
        """Leave nothing behind."""
        self._process.kill()
        self._process.wait()
        _ip("netns", "del", self._space)
        with contextlib.suppress(subprocess.CalledProcessError):
            _ip("link", "del", self._near)


@contextlib.contextmanager
def far_server(program: str, directory: Path) -> Iterator[FarServer]:
    """Run one for a while."""
    made = FarServer(program, directory)
    try:
        yield made
    finally:
        made.close()


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=True)
    return done.stdout
