"""Asking a daemon over HTTP, as probes do."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobd.seams import statefile
from jobd.seams.asking import Daemon
from jobd.seams.requests import Reload
from support.commands import APP, Place
from support.servers import PATIENCE, eventually


@dataclass
class Answer:
    """What came, after so many seconds."""

    status: int
    headers: dict[str, str]
    body: bytes
    took: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def reasons(self) -> set[str]:
        return {reason["what"] for reason in self.json["reasons"]}

    @property
    def warnings(self) -> set[str]:
        return {reason["what"] for reason in self.json["warnings"]}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def ask(
    port: int, path: str, method: str = "GET", *, host: str = "127.0.0.1", timeout: float = 30.0,
    headers: dict[str, str] | None = None,
) -> Answer:  # fmt: skip
    """Ask over a connection of its own. Raises OSError when nobody listens or answers."""
    began = time.monotonic()
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    said = {name.lower(): value for name, value in answer.getheaders()}
    return Answer(answer.status, said, body, time.monotonic() - began)


def tried(port: int, path: str) -> Answer | None:
    """Ask; None while nobody answers."""
    try:
        return ask(port, path)
    except (OSError, http.client.HTTPException):
        return None


class Site(Place):
    """A daemon that is served on `port`."""

    def __init__(self, directory: Path, url: str, *, app: str = APP) -> None:
        self.port = free_port()
        super().__init__(directory, url, app=app, more=f"{self.web}[queues.q]\n")

    @property
    def web(self) -> str:
        return f'[web]\nbind = "127.0.0.1:{self.port}"\n'

    def ready(self) -> None:
        def look() -> bool:
            answer = tried(self.port, "/readyz")
            return answer is not None and answer.status == 200

        eventually(look)

    def web_pid(self) -> int:
        """The process that serves, once it is there."""
        return eventually(lambda: next(iter(self._children("jobd: web")), None))

    def keepers(self) -> list[int]:
        """Those that run, come up or not."""
        return self._children("jobd: keeper", "jobd.wiring.keeper")

    def _children(self, *words: str) -> list[int]:
        """Find the supervisor's children with one of these in their command line."""
        parent = self.state.pid
        found = []
        for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_text()
                if any(word in command for word in words):
                    found.append(int(pid))
        return found

    def edit(self, old: str, new: str) -> None:
        config = self.directory / "jobd.toml"
        text = config.read_text()
        assert old in text
        config.write_text(text.replace(old, new))

    def reload(self) -> None:
        with Daemon.reach(self.directory / "run") as daemon:
            daemon.ask(Reload(), within=60)

    @property
    def state(self) -> statefile.State:
        state = statefile.read(self.directory / "run")
        assert state is not None
        return state

    def unready(self, what: str, within: float = PATIENCE) -> Answer:
        """Wait for this reason."""

        def look() -> Answer | None:
            answer = ask(self.port, "/readyz")
            return answer if what in answer.reasons else None

        answer = eventually(look, within=within)
        assert answer.status == 503
        assert answer.json["ok"] is False
        return answer
