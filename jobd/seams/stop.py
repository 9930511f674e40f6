"""Being asked to stop, by a signal, in a process whose main thread runs somebody else's code."""

from __future__ import annotations

import os
import signal


class Stop:
    """A flag to look at between jobs, and a descriptor to wait on while idle."""

    def __init__(self) -> None:
        self.asked = False
        self.readable, self._writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def listen(self) -> None:
        """Let SIGTERM ask. SIGINT is the terminal's word to the supervisor, which passes it on."""
        signal.signal(signal.SIGTERM, lambda _number, _frame: self.ask())
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def ask(self) -> None:
        """Ask. Safe in a signal handler, and any number of times."""
        if not self.asked:
            self.asked = True
            os.write(self._writable, b"x")

    def __call__(self) -> bool:
        return self.asked
