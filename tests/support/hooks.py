"""A webhook's receiver: a real HTTP server on loopback that takes all it is sent, and keeps it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """Takes notifications, and keeps them; none as long as it `refuses`."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/hook"
        self.bodies: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.refuses = False

    def told(self, rule: str) -> list[str]:
        """The statuses that came of a rule, in their order."""
        return [each["status"] for each in self.notes() if each["rule"] == rule]

    def notes(self) -> list[dict[str, Any]]:
        return [body.get("data", body) for body in self.bodies]


@contextmanager
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if taken.refuses:
                self.send_error(503)
                return
            taken.ids.append(self.headers["webhook-id"])
            taken.bodies.append(json.loads(body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    taken = Receiver(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield taken
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
