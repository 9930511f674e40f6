"""A server that answers a byte now and then, and never to the end.

One thread serves everybody. After a while it hangs up, so that whoever would wait for ever fails too.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Iterator

_EVERY = 0.05
_LONGEST = 15.0


class Drips:
    """Listens on a port of loopback; says `head` to whoever connects, and then `byte` after `byte`."""

    def __init__(self, head: bytes = b"+", more: bytes = b"x") -> None:
        self._head, self._more = head, more
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.place = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = f"redis://{self.place}/0"
        self._heard: list[tuple[socket.socket, float, Iterator[int]]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._drip, name="drips", daemon=True)
        self._thread.start()

    def __enter__(self) -> Drips:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        for near, _until, _more in self._heard:
            near.close()
        self._listener.close()

    def _drip(self) -> None:
        self._listener.settimeout(_EVERY)
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                near, _ = self._listener.accept()
                near.sendall(self._head)
                self._heard.append((near, time.monotonic() + _LONGEST, itertools.cycle(self._more)))
            for near, until, more in self._heard:
                with contextlib.suppress(OSError):
                    near.sendall(bytes([next(more)]))
                    if time.monotonic() > until:
                        near.shutdown(socket.SHUT_RDWR)
