"""Connections that cost something and bring nothing are closed: slow, silent, endless ones.

Invariant: a connection has IDLE_FOR for each whole request, and TAKEN_WITHIN to take its answer in, of
which something has to be taken in meanwhile. Of requests that come without waiting for answers none is
begun while answers are not taken in, and each leaves the others a turn. Of more than MOST connections the
one whose client has let us wait longest is closed: for a request, for its body, or to take in an answer.
Where all are at work, SPARE more may ask whether we are well. So nobody keeps a probe from being answered
by opening connections.
"""

from __future__ import annotations

import asyncio
import socket
from typing import cast

import h11
import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.h11_impl import H11Protocol

from jobd.seams.clock import mono
from jobd.web.app import HEALTH_PATHS
from jobd.web.auth.headers import HEADERS

MOST = 200
SPARE = 20
IDLE_FOR = 5.0
TAKEN_WITHIN = 30.0
# For the first bytes of one that was accepted as the process ends.
READ_WITHIN = 0.2
LONGEST_HEAD = 16 << 10
# What the system keeps for a client that takes nothing in; it would keep megabytes.
_KEPT = 128 << 10
# For each connection, until a request is begun that came before the answer to the last: others go first.
_IN_TURN = 0.001
_JSON = "application/json"
_HEADERS = {**HEADERS, "Cache-Control": "no-store", "Connection": "close"}


class Connection(H11Protocol):
    """One client's connection, as uvicorn serves it, with limits."""

    most = MOST
    idle_for = IDLE_FOR
    taken_within = TAKEN_WITHIN

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Serve, or make room first."""
        self._idle_since = self._paused_at = self._taken_at = mono()
        self._to_take = 0
        self._is_held = False
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KEPT)
        super().connection_made(transport)
        self._check: asyncio.TimerHandle | None = self.loop.call_later(self.idle_for, self._look)
        if len(self.connections) > self.most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        if self._check is not None:
            self._check.cancel()
            self._check = None
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Begin to wait for the next request; one that is there already has to wait its turn."""
        self._idle_since = mono()
        is_there = bool(self.conn.trailing_data[0])
        self._is_held = self.flow.write_paused or is_there
        if not self._is_held:
            super().on_response_complete()
        elif not self.flow.write_paused:
            self.loop.call_later(_IN_TURN * len(self.connections), self._go_on)

    def pause_writing(self) -> None:
        """Send no more for now: its client does not take it in."""
        self._paused_at = mono()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Go on sending, or with the request that comes after what was sent."""
        super().resume_writing()
        self._go_on()

    def send_400_response(self, msg: str) -> None:
        """Refuse nonsense. If what came before it is being answered, that ends without a word."""
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._refuse(msg)
        self.transport.close()

    def shutdown(self) -> None:
        """Answer what is under way, then close. What was accepted just now has hardly been read."""
        has_asked = self.cycle is not None
        if not has_asked and mono() - self._idle_since < READ_WITHIN:
            self.loop.call_later(READ_WITHIN, self.shutdown)
        else:
            super().shutdown()

    def end(self) -> None:
        """Close it at once, whatever was still to be sent."""
        if self._check is not None:
            self._check.cancel()
            self._check = None
        self.connections.discard(self)
        self.transport.abort()

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def _waits_since(self) -> float | None:
        """Since when its client lets us wait. None: it is we who are at work."""
        if not self._is_answering or self.cycle.more_body or self.transport.is_closing():
            return self._idle_since
        return self._paused_at if self.flow.write_paused else None

    def _go_on(self) -> None:
        """Take the next request."""
        was_held, self._is_held = self._is_held, False
        if was_held and not self._is_answering:
            self._idle_since = mono()
            super().on_response_complete()

    def _make_room(self) -> None:
        """End the one that lets us wait longest; else serve this one as far as can be."""
        waiting = [
            (since, id(each), each)
            for each in self.connections
            if isinstance(each, Connection) and each is not self
            if (since := each._waits_since) is not None
        ]
        if waiting:
            min(waiting)[-1].end()
        elif len(self.connections) <= self.most + SPARE:
            self.app = cast(ASGI3Application, _health_only(cast(ASGIApp, self.app)))
        else:
            self.end()

    def _look(self) -> None:
        """End a connection that waits for nothing of ours for too long, or takes nothing in."""
        now, to_take = mono(), self.transport.get_write_buffer_size()
        if not to_take or to_take < self._to_take:
            self._taken_at = now
        self._to_take = to_take
        wants = self.taken_within if to_take else self.idle_for
        left = self.idle_for if self._is_answering else self._idle_since + wants - now
        if left <= 0 or now - self._taken_at >= self.taken_within:
            self.end()
        else:
            self._check = self.loop.call_later(max(0.1, min(self.idle_for, left)), self._look)

    def _refuse(self, why: str) -> None:
        body = _error(why.lower().rstrip("."))
        headers = [
            *self.server_state.default_headers,
            *((name.encode(), value.encode()) for name, value in _HEADERS.items()),
            (b"Content-Type", _JSON.encode()),
            (b"Content-Length", str(len(body)).encode()),
        ]
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")


def _error(why: str) -> bytes:
    return msgspec.json.encode({"ok": False, "error": why}) + b"\n"


_CROWDED = Response(
    _error("too many requests are under way; try again in a moment"),
    503,
    {**_HEADERS, "Retry-After": "1"},
    media_type=_JSON,
)


def _health_only(app: ASGIApp) -> ASGIApp:
    """Serve what takes no time, and refuse all else."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        quick = scope["path"] in HEALTH_PATHS
        await (app if quick else _CROWDED)(scope, receive, send)

    return served
