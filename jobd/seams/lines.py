"""JSON messages, one a line, over a socket that never blocks. A descriptor may travel with one.

Invariant: a message goes in whole or not at all, and a peer that does not read costs at most
`limit` bytes: `send` then answers False, and the caller says it again later (what is sent here is
the whole state, so a lost message heals by itself). A descriptor arrives no later than its message,
and is closed here once it was sent or cannot be. Used by supervisor, keeper and preloader.
"""

from __future__ import annotations

import os
import socket
from collections import deque

import msgspec

from jobd.core.unreadable import UNREADABLE_JSON

LIMIT = 1 << 20
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Lines:
    """One end of a channel."""

    def __init__(self, sock: socket.socket, *, limit: int = LIMIT, takes_fds: bool = False) -> None:
        """With `takes_fds` descriptors that come are kept in `fds`; else the system closes them."""
        sock.setblocking(False)
        self._sock = sock
        self._limit = limit
        self._out = bytearray()
        self._fds_out: deque[tuple[int, int]] = (
            deque()
        )  # how many bytes go before it; the descriptor
        self._in = bytearray()
        self._takes_fds = takes_fds
        self.fds: deque[int] = deque()
        """Descriptors that have come, in the order of the messages they belong to."""
        self.closed = False

    @classmethod
    def from_fd(cls, fd: int, *, takes_fds: bool = False) -> Lines:
        """Take over an inherited descriptor."""
        return cls(socket.socket(fileno=fd), takes_fds=takes_fds)

    def fileno(self) -> int:
        return self._sock.fileno()

    def pending(self) -> bool:
        """Tell whether something waits for the peer to read: watch for writing, then `flush`."""
        return bool(self._out)

    def send(self, message: object, fd: int | None = None) -> bool:
        """Send, or keep for `flush`. False when the peer is gone or too far behind.

        A descriptor that goes along is not the caller's any more, whatever becomes of it.
        """
        if self.closed or len(self._out) > self._limit:
            if fd is not None:
                os.close(fd)
            return False
        if fd is not None:
            self._fds_out.append((len(self._out), fd))
        self._out += _encode(message) + b"\n"
        self.flush()
        return not self.closed

    def flush(self) -> None:
        """Send what waits, as far as the peer reads."""
        try:
            while self._out:
                self._sent(self._send_some())
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._gone()

    def _send_some(self) -> int:
        """Send what comes before the next descriptor, or that with all up to the one after it."""
        if not self._fds_out:
            return self._sock.send(self._out)
        before, fd = self._fds_out[0]
        if before:
            return self._sock.send(self._out[:before])
        until = self._fds_out[1][0] if len(self._fds_out) > 1 else len(self._out)
        sent = socket.send_fds(self._sock, [self._out[:until]], [fd])
        self._fds_out.popleft()
        os.close(fd)
        return sent

    def _sent(self, count: int) -> None:
        del self._out[:count]
        self._fds_out = deque((before - count, fd) for before, fd in self._fds_out)

    def receive(self) -> list[object]:
        """Take every whole message that is there. Sets `closed` at the end of the stream.

        A peer that sends what is not JSON, or a line without end, is treated as gone.
        """
        self._fill()
        *lines, rest = bytes(self._in).split(b"\n")
        self._in = bytearray(rest)
        try:
            messages = [_decode(line) for line in lines if line]
        except UNREADABLE_JSON:
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
            while chunk := self._take_some():
                self._in += chunk
                if len(self._in) > self._limit * 8:
                    return  # the rest at the next look: who never stops sending must not hold us up
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            pass  # a reset peer is a peer that is gone: same as the end of the stream
        self.closed = True

    def _take_some(self) -> bytes:
        if not self._takes_fds:
            return self._sock.recv(1 << 16)
        # One at a time: the system does not join what came with different descriptors.
        chunk, fds, _, _ = socket.recv_fds(self._sock, 1 << 16, 1, socket.MSG_CMSG_CLOEXEC)
        self.fds.extend(fds)
        return chunk

    def _gone(self) -> None:
        self.closed = True
        self._out.clear()
        for fd in (*(fd for _, fd in self._fds_out), *self.fds):
            os.close(fd)
        self._fds_out.clear()
        self.fds.clear()


def pair(*, takes_fds: bool = False) -> tuple[Lines, socket.socket]:
    """Make a channel: this process' end, and the socket to give to a child."""
    ours, theirs = socket.socketpair()
    return Lines(ours, takes_fds=takes_fds), theirs
