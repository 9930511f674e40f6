"""The bytes of a configuration: of a file, or of a pipe, as a shell's `<(...)` is one.

Invariant: whoever writes to a pipe is waited for, and not for ever; nothing is read without end.
"""

from __future__ import annotations

import os
import select
from pathlib import Path

from jobd.seams import clock

PATIENCE = 10.0
"""Seconds that a pipe's writer has: to fetch secrets from elsewhere, say."""

_PIECE = 64 * 1024


def read(path: Path, most: int, *, within: float | None = None) -> bytes:
    """Read up to a byte more than `most`. Raises OSError.

    That is a TimeoutError, which says what was waited for, when it has not come to its end `within`
    seconds; None: PATIENCE.
    """
    span = PATIENCE if within is None else within
    # A pipe is opened at once, be there a writer or not.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return _all(fd, most + 1, clock.mono() + span, span)
    finally:
        os.close(fd)


def _all(fd: int, most: int, until: float, within: float) -> bytes:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    found = bytearray()
    while len(found) < most:
        # Without this a pipe that no writer has opened yet would look like one at its end.
        if not poll.poll(max(0.0, until - clock.mono()) * 1000):
            raise TimeoutError(_waited(bool(found), within))
        piece = os.read(fd, min(_PIECE, most - len(found)))
        if not piece:
            break
        found += piece
    return bytes(found)


def _waited(has_begun: bool, within: float) -> str:
    what = "who writes to it has not ended" if has_begun else "nobody has written to it"
    return f"a pipe, and {what} within {within:g} s"
