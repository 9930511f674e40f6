"""The web process by itself, with a test in the place of its supervisor."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import msgspec

from jobd.core.config import Config, DaemonConfig, LogConfig, RedisConfig, WebConfig
from jobd.core.config_web import DashboardConfig
from jobd.seams import host, statefile
from jobd.seams.lines import Lines, pair
from jobd.seams.scoreboard import Owner, Scoreboard
from jobd.seams.statefile import State
from jobd.web.connections import MOST, TAKEN_WITHIN
from support.web import Answer, ask

# `python -m jobd.wiring.web`, with other limits.
PROGRAM = """
import sys
from jobd.web.connections import Connection
from jobd.wiring.web import main
Connection.idle_for, Connection.most, Connection.taken_within = {}, {}, {}
sys.exit(main(sys.argv))
"""
IDLE_FOR = 0.6
LEASE = 20.0


class Web:
    """One web process over a runtime directory without queues, and the channel to it."""

    def __init__(
        self, top: Path, redis_url: str, *, idle_for: float = IDLE_FOR, most: int = MOST,
        taken_within: float = TAKEN_WITHIN, dashboard: DashboardConfig | None = None,
    ) -> None:  # fmt: skip
        self.board = top / "scoreboard.n"
        me = os.getpid()
        owner = Owner("n", me, host.start_ticks(me), host.boot_id())
        self.pages = Scoreboard.create(self.board, owner=owner, pages=2)
        self.write()
        config = Config(
            redis=RedisConfig(url=redis_url),
            web=WebConfig(dashboard=dashboard),
            daemon=DaemonConfig(log=LogConfig(format="json"), lease=LEASE),
        )
        effective = top / "effective.json"
        effective.write_bytes(msgspec.json.encode(config))
        self.log = top / "log"
        self.channel: Lines
        self.channel, theirs = pair()
        listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = listener.getsockname()[1]
        with theirs, listener, self.log.open("wb") as log:
            fds = [theirs.fileno(), listener.fileno()]
            self.process = subprocess.Popen(
                [
                    sys.executable, "-c", PROGRAM.format(idle_for, most, taken_within),
                    str(effective), str(fds[0]), str(self.board), str(fds[1]),
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=fds,
            )  # fmt: skip

    def write(self, **changes: object) -> None:
        state = State(
            pid=os.getpid(), started_at=0.0, nonce="n", scoreboard=self.board.name, queues={},
            helpers={"keeper": "running"},
        )  # fmt: skip
        statefile.write(self.board.parent, msgspec.structs.replace(state, **changes))

    def say(self, *, ready: bool = True, stopping: bool = False) -> None:
        self.channel.send({"daemon": {"ready": ready, "stopping": stopping}})

    def beats(self) -> int:
        """The last beat that has come."""
        said = [
            each for each in self.channel.receive() if isinstance(each, dict) and "beat" in each
        ]
        return int(said[-1]["beat"]) if said else 0

    def ask(self, path: str) -> Answer:
        return ask(self.port, path, timeout=20)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def ended(self, within: float) -> int:
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not ended within {within} s\n{self.log.read_text()}") from None

    def end(self) -> None:
        self.channel.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
