"""Connections that cost something and bring nothing are closed: slow, silent, endless ones.

Invariant: a connection has IDLE_FOR for each whole request, and TAKEN_WITHIN to take its answer in; of
more than MOST the one that has been idle longest is closed, or the new one where all are at work. So
nobody keeps a probe from being answered by opening connections.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from jobd.seams.clock import mono

MOST = 200
IDLE_FOR = 5.0
TAKEN_WITHIN = 30.0
# For the first bytes of one that was accepted as the process ends.
READ_WITHIN = 0.2
LONGEST_HEAD = 16 << 10


class Connection(H11Protocol):
    """One client's connection, as uvicorn serves it, with limits."""

    most = MOST
    idle_for = IDLE_FOR
    taken_within = TAKEN_WITHIN

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Serve, or make room first."""
        self._idle_since = mono()
        super().connection_made(transport)
        self._check: asyncio.TimerHandle | None = self.loop.call_later(self.idle_for, self._look)
        if len(self.connections) > self.most:
            self._longest_idle().end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        if self._check is not None:
            self._check.cancel()
            self._check = None
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        self._idle_since = mono()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse nonsense. If what came before it is being answered, that ends without a word."""
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
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

    def _longest_idle(self) -> Connection:
        idle = [
            each
            for each in self.connections
            if isinstance(each, Connection) and each is not self and not each._is_answering
        ]
        return min(idle, key=lambda each: each._idle_since, default=self)

    def _look(self) -> None:
        """End a connection that waits for nothing of ours for too long."""
        idle = mono() - self._idle_since
        wants = self.taken_within if self.transport.get_write_buffer_size() else self.idle_for
        if not self._is_answering and idle >= wants:
            self.end()
        else:
            self._check = self.loop.call_later(
                max(0.1, min(self.idle_for, wants - idle)), self._look
            )
