"""People who look at the dashboard: one page after another, and many streams at once.

They come with a token, as programs do, so that nobody has to log in. What a page takes is timed at this
end of a connection that is kept, so the socket and the reading of the request are in it.
"""

import http.client
import selectors
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from benchmarks.errors import RunFailed
from jobd.core.passwords import TOKEN_PREFIX, hashed_token

TOKEN = TOKEN_PREFIX + "b" * 43
ANSWER_SECONDS = 30.0
_CHUNK = 262_144


def config(port: int) -> str:
    """Give the tables of jobd.toml for a dashboard at this port."""
    return (
        f'[web]\nbind = "127.0.0.1:{port}"\n'
        f'[web.dashboard.tokens]\nviewer = "{hashed_token(TOKEN)}"\n'
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """One page: the seconds it took, and what came."""

    seconds: float
    text: str


class Reader:
    """Somebody who opens pages, over one connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)

    def open(self, path: str) -> Answer:
        """Open a page, and the one it leads on to. Raises RunFailed for one that is not there."""
        begun = time.perf_counter()
        answer, body = self._ask(path)
        if answer.status == http.client.SEE_OTHER:
            answer, body = self._ask(answer.headers["Location"])
        taken = time.perf_counter() - begun
        text = body.decode("utf-8", "replace")
        if answer.status != http.client.OK:
            raise RunFailed(f"{path} was answered with {answer.status}: {text[:300]}")
        return Answer(taken, text)

    def _ask(self, path: str) -> tuple[http.client.HTTPResponse, bytes]:
        headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "text/html"}
        self._connection.request("GET", path, headers=headers)
        answer = self._connection.getresponse()
        return answer, answer.read()

    def answers(self, path: str) -> bool:
        """Say whether anything is served yet."""
        try:
            self._connection.request("GET", path)
            self._connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return False
        return True

    def close(self) -> None:
        self._connection.close()


class Viewers:
    """Streams that are watched while the block lasts, and what came of them all."""

    def __init__(self, port: int, paths: Sequence[str]) -> None:
        """`paths` are those of streams, one for each viewer."""
        self._port = port
        self._paths = paths
        self._open: list[socket.socket] = []
        self._selector = selectors.DefaultSelector()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._read, name="viewers")
        self.read_bytes = 0
        self.lost = 0

    def __enter__(self) -> Self:
        for path in self._paths:
            one = socket.create_connection(("127.0.0.1", self._port), timeout=ANSWER_SECONDS)
            self._open.append(one)
            one.sendall(
                f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nAuthorization: Bearer {TOKEN}\r\n"
                "Accept: text/event-stream\r\n\r\n".encode()
            )
            head = one.recv(_CHUNK)
            if not head.startswith(b"HTTP/1.1 200 "):
                raise RunFailed(f"{path} was answered with {head[:300]!r}")
            one.setblocking(False)
            self._selector.register(one, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._ends.set()
        if self._thread.is_alive():
            self._thread.join()
        self._selector.close()
        for one in self._open:
            one.close()

    def _read(self) -> None:
        """Take in whatever comes, as a browser does at once, and keep nothing."""
        while not self._ends.is_set():
            for key, _ in self._selector.select(timeout=0.1):
                one = key.fileobj
                assert isinstance(one, socket.socket)
                try:
                    came = len(one.recv(_CHUNK))
                except BlockingIOError:
                    continue
                except OSError:
                    came = 0
                self.read_bytes += came
                if not came:
                    self.lost += 1
                    self._selector.unregister(one)
