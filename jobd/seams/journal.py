"""systemd's journal, spoken to in its own words: a record is a datagram of fields (journald's native protocol).

    MESSAGE=job.failed job=… | PRIORITY=4 | SYSLOG_IDENTIFIER=jobd | JOBD_EVENT=… | JOBD_JOB=… | …

Invariants: a record goes in whole or not at all, for it is one datagram; a journal that does not read
costs records, not work; the descriptor is ours alone, and one that somebody has closed, and whose number
now is another file's, is not written to. What may stand in a value is anything: what is not printable is
sent by its length.

Each process has a socket of its own: who said something is what the kernel says of the sender. Used by
jobd.seams.log, which writes lines to standard error instead where there is no such socket.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Iterable
from pathlib import Path

from jobd.seams.descriptors import Identity, identity
from jobd.seams.logstream import RECORD, Losses, moved

SOCKET = Path("/run/systemd/journal/socket")
# A record without a field is none. But journald looks up whose it is: what the sender says next is
# known to be of its unit, also when the sender has ended before that is read.
_GREETING = b"\n"


def is_behind(descriptor: int) -> bool:
    """Say whether the journal reads what is written there: JOURNAL_STREAM, of systemd.exec(5)."""
    found = identity(descriptor)
    said = os.environ.get("JOURNAL_STREAM")
    return found is not None and said == f"{found[0]}:{found[1]}"


def encode(fields: Iterable[tuple[str, str]]) -> bytes:
    """Write fields as a datagram. A name may come more than once."""
    return b"".join(
        _field(name.encode(), value, value.encode("utf-8", "backslashreplace"))
        for name, value in fields
    )


def _field(name: bytes, value: str, raw: bytes) -> bytes:
    if value.isprintable():
        return b"%b=%b\n" % (name, raw)
    return b"%b\n%b%b\n" % (name, len(raw).to_bytes(8, "little"), raw)


class Journal:
    """This process' socket to the journal. It is opened when it is first needed, and again when lost."""

    room = RECORD

    def __init__(self, *, patience: float = 1.0) -> None:
        """A journal that stands still is waited for `patience` seconds, once."""
        self._path = str(SOCKET)
        self._patience = patience
        self._losses = Losses()
        self._fd = -1
        self._identity: Identity | None = None

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What nobody else may close."""
        return () if self._fd < 0 else (self._fd,)

    def open(self) -> None:
        """Connect, if it is not: the journal then knows of us. Raises OSError when nobody is there."""
        if self._fd >= 0 and identity(self._fd) == self._identity:
            return
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        with made:
            made.connect(self._path)
            try:
                made.send(_GREETING)
            except BlockingIOError:
                """It has much to read: it learns of us by what we say."""
            self._fd = moved(made.fileno())
        self._identity = identity(self._fd)

    def write(self, record: bytes) -> bool:
        """Send a record; False when it was lost. Raises OSError when nobody is there to take it."""
        self.open()
        written = self._send(record) or (not self._losses.stalled and self._send_late(record))
        self._losses.note(written)
        return written

    def lost(self) -> int:
        """Give how many records were lost to a journal that stalled, once it reads again."""
        return self._losses.take()

    def _send_late(self, record: bytes) -> bool:
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        return bool(poll.poll(self._patience * 1000)) and self._send(record)

    def _send(self, record: bytes) -> bool:
        # Through Python's socket, which must not close what it does not keep.
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM, fileno=self._fd)
        try:
            return _sent(sock, record)
        except OSError:
            # The journal was started anew, with a socket of its own.
            sock.connect(self._path)
            return _sent(sock, record)
        finally:
            sock.detach()


def _sent(sock: socket.socket, record: bytes) -> bool:
    try:
        sock.send(record)
    except BlockingIOError:
        return False
    return True
