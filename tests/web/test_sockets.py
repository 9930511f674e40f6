"""Where a daemon is served: systemd's sockets, and addresses that are taken."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.commands import Place
from support.web import ask, free_port, tried

from jobd.seams import statefile
from jobd.seams.asking import Daemon
from jobd.seams.requests import Reload

pytestmark = pytest.mark.process

# As systemd does it: the descriptors from 3 on, and the pid of who is meant.
ACTIVATE = """
import os, sys
[os.dup2(int(fd), 3 + at) for at, fd in enumerate(sys.argv[1].split(","))]
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(sys.argv[1].count(",") + 1)}
os.execv(sys.executable, [sys.executable, "-m", "jobd", *sys.argv[2:]])
"""


@contextmanager
def _activated(place: Place, sockets: list[socket.socket]) -> Iterator[subprocess.Popen[bytes]]:
    fds = [sock.fileno() for sock in sockets]
    with place.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", ACTIVATE, ",".join(map(str, fds)), "run"],
            cwd=place.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=fds,
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)


def test_sockets_of_systemd_are_served_whatever_the_file_says(
    tmp_path: Path, redis_url: str
) -> None:
    """Two at once, over a reload that changes web.bind; who knocks before the daemon is up waits."""
    named = free_port()
    place = Place(tmp_path, redis_url, more=f'[queues.q]\n[web]\nbind = "127.0.0.1:{named}"\n')
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    ports = [sock.getsockname()[1] for sock in sockets]
    with _activated(place, sockets) as process:
        for sock in sockets:
            sock.close()  # from now on they are the daemon's alone
        assert [ask(port, "/livez", timeout=30).status for port in ports] == [200, 200]
        place.ready()
        config = tmp_path / "jobd.toml"
        config.write_text(config.read_text().replace(f":{named}", f":{free_port()}"))
        with Daemon.reach(tmp_path / "run") as daemon:
            daemon.ask(Reload(), within=60)
        assert [ask(port, "/livez", timeout=30).status for port in ports] == [200, 200]
        assert tried(named, "/livez") is None
        assert "health at the sockets of systemd" in place.jobd("status").stdout
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert tried(ports[0], "/livez") is None


def test_an_address_that_is_taken_ends_the_start_with_the_reason(
    tmp_path: Path, redis_url: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        place = Place(tmp_path, redis_url, more=f'[queues.q]\n[web]\nbind = "{address}"\n')
        done = place.jobd("run")
    assert done.returncode == 78
    assert f"web.bind: '{address}': Address already in use; expected" in done.stderr
    assert "Traceback" not in done.stderr
    assert statefile.read(tmp_path / "run") is None
