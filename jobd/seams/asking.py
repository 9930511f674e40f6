"""Asking a running daemon: the other end of its control socket. Used by the command line.

    with Daemon.reach(runtime_dir) as daemon:
        daemon.ask(Stop(), within=5.0)
        daemon.ended(within=60.0)

Invariant: nothing waits without a limit, and every failure is a typed error that says what to do.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from jobd.core.errors import (
    DaemonForbids,
    DaemonHasNone,
    DaemonRefused,
    DaemonSilent,
    NoDaemon,
    OtherVersion,
)
from jobd.seams import clock, host
from jobd.seams.control import short_path
from jobd.seams.lines import Lines
from jobd.seams.requests import (
    BAD_REQUEST,
    BUSY,
    NOT_PERMITTED,
    UNKNOWN_REQUEST,
    Answer,
    Refusal,
    Reload,
    Request,
    name_of,
    written,
)

_CREDENTIALS = struct.Struct("3i")


def _nobody(_words: str) -> None:
    """Hear the notes of a daemon when nobody wants to."""


class Daemon:
    """One connection to the daemon of a runtime directory. `pid` is 0 where it cannot be known."""

    def __init__(self, lines: Lines, pid: int, runtime_dir: Path) -> None:
        self.pid = pid
        self._lines = lines
        self._runtime_dir = runtime_dir
        self._waiting: list[object] = []
        self._pidfd = host.open_pid(pid) if pid > 0 else None

    @classmethod
    def reach(cls, runtime_dir: Path, *, within: float = 5.0) -> Self:
        """Connect. Raises NoDaemon, DaemonForbids, DaemonSilent."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(within)
            with short_path(runtime_dir) as path:
                connection.connect(path)
            credentials = connection.getsockopt(
                socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size
            )
        except OSError as error:
            connection.close()
            raise _unreached(error, runtime_dir) from error
        return cls(Lines(connection), _CREDENTIALS.unpack(credentials)[0], runtime_dir)

    def ask(
        self, request: Request, *, within: float, heard: Callable[[str], None] = _nobody
    ) -> dict[str, Any]:
        """Ask, and give what the daemon answers. `heard` is told how far it is, where it says so.

        Raises DaemonRefused (DaemonForbids, OtherVersion), DaemonSilent.
        """
        until = clock.mono() + within
        if not self._lines.send(written(request)):
            self._lines.closed = False  # to be read to its end: who turns us away says why
        while (message := self._next(until)) is not None:
            answer = self._read(message)
            if answer.ok is not None:
                return answer.ok
            if answer.error is not None:
                raise self._refused(request, answer.error)
            heard(answer.note or "")
        what = "ended" if self._lines.closed else f"gave no answer within {within:g} s"
        raise DaemonSilent(
            f"{name_of(request)}: the daemon {self._who()}{what}; expected an answer; "
            "see its log, and `jobd status`"
        )

    def ended(self, *, within: float) -> bool:
        """Wait until the daemon's process has ended; False when it has not by then."""
        if self._pidfd is not None:
            return host.ended(self._pidfd, within)
        until = clock.mono() + within
        while not self._lines.closed and clock.mono() < until:
            self._next(until)
        return self._lines.closed

    def close(self) -> None:
        """End the connection; what was asked goes on."""
        self._lines.close()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def _next(self, until: float) -> object | None:
        """Give the next message; None at the end of the connection, or of the time."""
        poll = select.poll()
        while not self._waiting and not self._lines.closed:
            left = until - clock.mono()
            if left <= 0:
                return None
            wanted = select.POLLIN | (select.POLLOUT if self._lines.pending() else 0)
            poll.register(self._lines.fileno(), wanted)
            poll.poll(left * 1000)
            self._lines.flush()
            self._waiting += self._lines.receive()
        return self._waiting.pop(0) if self._waiting else None

    def _read(self, message: object) -> Answer:
        try:
            return msgspec.convert(message, Answer)
        except msgspec.ValidationError as bad:
            raise OtherVersion(
                f"{self._runtime_dir}: the daemon {self._who()}answers what is not understood "
                f"({bad}); expected a daemon of this version; use the command it was started with",
                reason="answer",
            ) from bad

    def _refused(self, request: Request, why: Refusal) -> Exception:
        name = f"{name_of(request)}: "
        what = name + why.message.removeprefix(name)
        if why.code == NOT_PERMITTED:
            return DaemonForbids(what, reason=why.code)
        if why.code in (UNKNOWN_REQUEST, BAD_REQUEST):
            return OtherVersion(
                f"{what}; the daemon {self._who()}is of another version; "
                "use the command it was started with, or start it again",
                reason=why.code,
            )
        if why.code == BUSY:
            return DaemonSilent(what)
        if not isinstance(request, Reload):  # which alone is refused for what a file says
            return DaemonHasNone(what, reason=why.code)
        return DaemonRefused(what, reason=why.code)

    def _who(self) -> str:
        return f"with pid {self.pid} " if self.pid > 0 else ""


def _unreached(error: OSError, runtime_dir: Path) -> NoDaemon | DaemonForbids | DaemonSilent:
    if isinstance(error, PermissionError):
        return DaemonForbids(
            f"{runtime_dir}: {error.strerror}; expected to be root, or the user that the daemon "
            "runs as; ask with `sudo -u`",
            reason=NOT_PERMITTED,
        )
    if isinstance(error, TimeoutError | BlockingIOError):
        return DaemonSilent(
            f"{runtime_dir}: the daemon takes no connection; expected it to do so at once; "
            "it hangs or is stopped: see its log, and `jobd status`"
        )
    return NoDaemon(
        f"{runtime_dir}: no daemon listens here ({error.strerror}); expected a running one; start it "
        "with `jobd run`, or name its directory with --runtime-dir or its configuration with -c"
    )
