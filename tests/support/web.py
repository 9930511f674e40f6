"""Asking a daemon over HTTP, as probes do."""

from __future__ import annotations

import http.client
import json
import socket
import time
from dataclasses import dataclass
from typing import Any


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
    port: int, path: str, method: str = "GET", *, host: str = "127.0.0.1", timeout: float = 10.0,
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
