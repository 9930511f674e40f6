"""Signals that come while a program is on its way to become another, which will listen to them.

Used by the command line, which becomes the supervisor: it imports nothing that is not there anyway.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

HELD = (
    signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP,
    signal.SIGUSR1, signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU,
)  # fmt: skip
"""What the supervisor listens to, beside its children's ends."""


@contextmanager
def held_signals() -> Iterator[None]:
    """Keep what comes for the program that this process becomes in here: it survives exec.

    Else a signal that comes early would end the process; and the first process of a container, which
    has no default, would never hear of it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
