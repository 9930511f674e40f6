"""Ending by SIGPIPE, for the command line; Python ignores it, so that a socket's end is an error to handle."""

from __future__ import annotations

import os
import signal


def die_of_pipe() -> None:
    """End as a program does that writes to a pipe which nobody reads: by the signal, 141 to a shell."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.pthread_sigmask(
        signal.SIG_UNBLOCK, [signal.SIGPIPE]
    )  # whoever started us may have blocked it
    os.kill(os.getpid(), signal.SIGPIPE)
