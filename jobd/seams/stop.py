"""Being asked to stop, by a signal, in a process whose main thread runs somebody else's code."""

from __future__ import annotations

import os
import select
import signal
from types import FrameType


class Stop:
    """A flag to look at between jobs, and a descriptor to wait on while idle."""

    def __init__(self) -> None:
        self.asked = False
        self.readable, self._writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def listen(self) -> None:
        """Let SIGTERM ask. SIGINT is the terminal's word to the supervisor, which passes it on."""
        signal.signal(signal.SIGTERM, self._heard)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.register_at_fork(
            before=_hold_back, after_in_parent=_let_through, after_in_child=self._forget
        )

    def _heard(self, _number: int, _frame: FrameType | None) -> None:
        self.ask()

    def _forget(self) -> None:
        """In a child that somebody else's code forks, SIGTERM means what it means everywhere.

        A pool of processes is ended by SIGTERM. With our handler its children would live on, whoever
        joins them would wait for good, and each would ask this very process to stop: the pipe is one.
        """
        if signal.getsignal(signal.SIGTERM) == self._heard:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _let_through()

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


def _hold_back() -> None:
    """Until a forked child has its own handler: the signal may come as soon as it has a pid."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))


def _let_through() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))
