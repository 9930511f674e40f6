"""Being asked to stop, by a signal, in a process whose main thread runs somebody else's code."""

from __future__ import annotations

import os
import select
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

    def wait(self, seconds: float, *, beside: int | None = None) -> bool:
        """Wait until asked, until the descriptor `beside` is readable, or so long; say if asked."""
        # poll, since select refuses descriptors from 1024 on, and the application opens some too.
        poll = select.poll()
        for descriptor in (self.readable, beside):
            if descriptor is not None:
                poll.register(descriptor, select.POLLIN)
        poll.poll(seconds * 1000)
        return self.asked

    def __call__(self) -> bool:
        return self.asked
