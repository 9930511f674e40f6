"""JSON messages, one a line, over a socket that never blocks.

Invariant: a message goes in whole or not at all, and a peer that does not read costs at most
`limit` bytes: `send` then answers False, and the caller says it again later (what is sent here is
the whole state, so a lost message heals by itself). Used by supervisor, keeper and preloader.
"""

from __future__ import annotations

import socket

import msgspec

LIMIT = 1 << 20
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Lines:
    """One end of a channel."""

    def __init__(self, sock: socket.socket, *, limit: int = LIMIT) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._limit = limit
        self._out = bytearray()
        self._in = bytearray()
        self.closed = False

    @classmethod
    def from_fd(cls, fd: int) -> Lines:
        """Take over an inherited descriptor."""
        return cls(socket.socket(fileno=fd))

    def fileno(self) -> int:
        return self._sock.fileno()

    def pending(self) -> bool:
        """Tell whether something waits for the peer to read: watch for writing, then `flush`."""
        return bool(self._out)

    def send(self, message: object) -> bool:
        """Send, or keep for `flush`. False when the peer is gone or too far behind."""
        if self.closed or len(self._out) > self._limit:
            return False
        self._out += _encode(message) + b"\n"
        self.flush()
        return not self.closed

    def flush(self) -> None:
        """Send what waits, as far as the peer reads."""
        try:
            while self._out:
                del self._out[: self._sock.send(self._out)]
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._gone()

    def receive(self) -> list[object]:
        """Take every whole message that is there. Sets `closed` at the end of the stream.

        A peer that sends what is not JSON, or a line without end, is treated as gone.
        """
        self._fill()
        *lines, rest = bytes(self._in).split(b"\n")
        self._in = bytearray(rest)
        try:
            messages = [_decode(line) for line in lines if line]
        except msgspec.DecodeError:
            self._gone()
            return []
        if len(self._in) > self._limit * 8:
            self._gone()
        return messages

    def close(self) -> None:
        """Close this end."""
        self._gone()
        self._sock.close()

    def _fill(self) -> None:
        if self.closed:
            return
        try:
            while chunk := self._sock.recv(1 << 16):
                self._in += chunk
                if len(self._in) > self._limit * 8:
                    return  # the rest at the next look: who never stops sending must not hold us up
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            pass  # a reset peer is a peer that is gone: same as the end of the stream
        self.closed = True

    def _gone(self) -> None:
        self.closed = True
        self._out.clear()


def pair() -> tuple[Lines, socket.socket]:
    """Make a channel: this process' end, and the socket to give to a child."""
    ours, theirs = socket.socketpair()
    return Lines(ours), theirs
