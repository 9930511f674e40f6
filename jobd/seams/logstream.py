"""The stream a process' log goes to: whole records, and no wait without end.

Invariants: a record goes in whole or not at all, and on a pipe it is at most PIPE_BUF long, so that
the processes which share one never mix theirs; whoever reads it and stands still, or a full disk, costs records, not
work; a descriptor that somebody closed, and whose number now is another file's, is not written to,
but standard error in its place.

A process asks for `of_process()` at its start and keeps it: descriptor 2 is a pipe to the supervisor in
all others (jobd.seams.stdio), and their logs go where the daemon's goes all the same.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import stat
from contextlib import suppress

from jobd.seams.descriptors import identity

# Above what programs count on, and where a closed number is not given to the next file at once.
_HIGH = 200
# A record on a pipe must not be longer than what goes in at once.
PIPE_RECORD = select.PIPE_BUF
RECORD = 16 << 10
# A disk without room, or one that gives us no more of it.
_FULL = (errno.ENOSPC, errno.EDQUOT)


# Names the descriptor of the log in a program whose standard error is something else.
_HANDED_ON = "JOBD_LOG_FD"


def hand_on() -> int:
    """Keep standard error as the log of the program that this process is about to become."""
    fd = fcntl.fcntl(2, fcntl.F_DUPFD, _HIGH)
    os.environ[_HANDED_ON] = str(fd)
    return fd


def of_process() -> int:
    """Give a descriptor of our own for the log: what was handed on, else standard error."""
    fd = int(os.environ.pop(_HANDED_ON, "2"))
    made = own(fd)
    if fd != 2:
        os.close(fd)
    return made


def own(fd: int) -> int:
    """Give a descriptor of our own for the stream behind `fd`; it does not go to other programs.

    A pipe or a terminal is opened anew where that is allowed, so that not to wait for its reader is
    our own affair: a flag set on what is shared would be set for everybody.
    """
    with suppress(OSError):
        if stat.S_ISFIFO(os.fstat(fd).st_mode) or os.isatty(fd):
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            opened = os.open(f"/proc/self/fd/{fd}", flags)
            try:
                return moved(opened)
            finally:
                os.close(opened)
    return moved(fd)


def moved(fd: int) -> int:
    """Give a second descriptor of the same file, high, that does not go to other programs."""
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _HIGH)
    except OSError:  # fewer descriptors are allowed
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)


class Losses:
    """Records that a reader who stands still has cost, until it reads again and can be told."""

    def __init__(self) -> None:
        self.stalled = False
        """The last record was lost."""
        self._lost = 0

    def note(self, written: bool) -> None:
        """Count a record."""
        self.stalled = not written
        self._lost += not written

    def take(self) -> int:
        """Give how many were lost, once, and not while they still are."""
        if self.stalled:
            return 0
        lost, self._lost = self._lost, 0
        return lost


class LogStream:
    """Writes records to one descriptor, waiting at most `patience` seconds for a reader that stalls."""

    def __init__(self, fd: int = 2, *, patience: float = 1.0) -> None:
        self.fd = fd
        self._patience = patience
        self._identity = identity(fd)
        mode = 0 if self._identity is None else os.fstat(fd).st_mode
        self._is_socket = stat.S_ISSOCK(mode)
        self._is_file = stat.S_ISREG(mode)
        self.room = PIPE_RECORD if stat.S_ISFIFO(mode) else RECORD
        """How long a record may be, its end of line included."""
        self._rest = b""  # of a record that was begun
        self._losses = Losses()

    def write(self, record: bytes) -> bool:
        """Write a record with its end of line; False when it was lost."""
        try:
            written = self._write(record)
        except OSError:
            # Nowhere is left to say it: a daemon outlives the reader of its log.
            written = False
        self._losses.note(written)
        return written

    def lost(self) -> int:
        """Give how many records were lost to a reader that stalled, or a full disk, once it is over."""
        return self._losses.take()

    def _write(self, record: bytes) -> bool:
        if self._identity is None or identity(self.fd) != self._identity:
            os.write(2, record)
            return True
        if self._rest:
            self._rest = self._put(self._rest)
        if self._rest:
            return False
        rest = self._put(record)
        if len(rest) == len(record):
            return False
        if rest and self._is_file and self._cut(len(record) - len(rest)):
            return False
        self._rest = rest
        return True

    def _cut(self, written: int) -> bool:
        """Take back so many bytes of a record that a full disk broke off.

        Others who share the file would write on behind them. They write nothing while it is full; if one
        has all the same, what stands there stays.
        """
        try:
            end = os.fstat(self.fd).st_size
            if os.lseek(self.fd, 0, os.SEEK_CUR) != end:
                return False
            os.ftruncate(self.fd, end - written)
            os.lseek(self.fd, end - written, os.SEEK_SET)
        except OSError:  # a file that can only be added to
            return False
        return True

    def _put(self, data: bytes) -> bytes:
        """Write what can be; give the rest."""
        while data:
            try:
                data = data[self._send(data) :]
            except BlockingIOError:
                if self._losses.stalled or not self._wait():
                    break
            except OSError as refused:
                if refused.errno not in _FULL:
                    raise
                break  # nothing says when there is room again: the next record tries
        return data

    def _send(self, data: bytes) -> int:
        if not self._is_socket:
            return os.write(self.fd, data)
        # Through Python's socket, which must not close what is not its own.
        sock = socket.socket(fileno=self.fd)
        try:
            return sock.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        finally:
            sock.detach()

    def _wait(self) -> bool:
        poll = select.poll()
        poll.register(self.fd, select.POLLOUT)
        return bool(poll.poll(self._patience * 1000))
