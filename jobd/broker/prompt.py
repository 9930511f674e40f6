"""Connections of threads on which whatever is waited for has a last instant.

The time-out of a socket begins again with every byte: an answer of a byte a second is never late by it. Here
it is that of an answer as a whole, and that for connecting holds for all of it: to reach the server, to agree
on TLS, and to introduce ourselves. Invariant: no byte that comes puts off the end of a wait, but by the time
it takes at `LEAST_RATE`. Every connection of jobd is one of these, or of `prompt_async`; made
by pools, link, sentinel and sentinel_facts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis._parsers import _HiredisParser
from redis._parsers.socket import SENTINEL  # type: ignore[attr-defined]  # where every version has it
from redis.connection import AbstractConnection, Connection, UnixDomainSocketConnection

from jobd.seams.clock import monotonic

# Bytes a second: a large answer on a slow link is waited for, as long as it keeps coming.
LEAST_RATE = 100_000
LEAST = 0.05
"""The shortest wait there is, in seconds: one that is late already is tried, too."""
# A wait that ends so little later than it must is left to the socket's own time-out, which costs nothing.
_NEARLY = 0.95


class Reader(_HiredisParser):
    """Reads answers until `until`, which is set by whoever asks; for all answers of a round trip."""

    until = math.inf
    latest = math.inf  # no `until` may be later: see `by`
    _calm = 0.0

    def on_connect(self, connection: Any, **settings: Any) -> None:
        """Begin with a new socket."""
        super().on_connect(connection, **settings)  # type: ignore[no-untyped-call]
        self._calm = (connection.socket_timeout or math.inf) * _NEARLY

    def read_from_socket(self, timeout: Any = SENTINEL, raise_on_timeout: bool = True) -> Any:
        """Read what there is, or wait for it."""
        left = self.until - monotonic()
        if left < self._calm:
            if left <= 0:
                raise TimeoutError("too slow")
            timeout = min(left, timeout) if isinstance(timeout, int | float) else left
        return super().read_from_socket(timeout, raise_on_timeout)  # type: ignore[no-untyped-call]


class OneByOne(Reader):
    """Gives every answer the socket's time-out for itself, and what its bytes take at the least rate."""

    def read_response(self, *args: Any, **settings: Any) -> Any:
        """Read one answer. A `timeout` is that of who waits for news; None is for ever."""
        patience = self._socket_timeout or math.inf
        asked = settings.get("timeout", patience)
        if asked is None:
            patience = math.inf
        elif isinstance(asked, int | float):
            patience = max(LEAST, min(patience, asked))
        self.until = min(self.latest, monotonic() + patience)
        return super().read_response(*args, **settings)

    def read_from_socket(self, timeout: Any = SENTINEL, raise_on_timeout: bool = True) -> Any:
        """Read, and wait so much longer for the rest."""
        reader = self._reader
        before = 0 if reader is None else reader.len()
        more = super().read_from_socket(timeout, raise_on_timeout)
        self.until += (reader.len() - before) / LEAST_RATE
        return more


class Prompt(AbstractConnection):
    """What makes a connection so. All that is read within `by` is there by then, or it fails."""

    _parser: Reader

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("parser_class", OneByOne)
        super().__init__(**settings)

    @contextmanager
    def by(self, latest: float) -> Iterator[None]:
        """Set the last instant (of the monotonic clock) of everything that is read meanwhile."""
        parser = self._parser
        before = parser.latest
        parser.latest = parser.until = min(before, latest)
        try:
            yield
        finally:
            parser.latest = parser.until = before

    def connect_check_health(self, *args: Any, **settings: Any) -> None:
        """Connect and introduce ourselves, all of it in the time for connecting."""
        sock: Any = self._sock
        if sock is not None:  # for every call of a pool's; the rest costs more than to ask
            return
        with self.by(monotonic() + (self.socket_connect_timeout or math.inf)):
            super().connect_check_health(*args, **settings)

    def _send_ping(self) -> None:
        """Ask whether an idle connection still works."""
        with self.by(monotonic() + (self.socket_timeout or math.inf)):
            super()._send_ping()  # type: ignore[no-untyped-call]

    def left(self) -> float:
        """Say how many seconds are left for connecting, while that goes on."""
        return max(LEAST, self._parser.latest - monotonic())


class TcpConnection(Prompt, Connection):
    """To a host and a port."""


class UnixConnection(Prompt, UnixDomainSocketConnection):
    """To a socket of this host."""
