"""Being asked to stop, by a signal, in a process whose main thread runs somebody else's code."""

from __future__ import annotations

import os
import select
import signal
import threading
from types import FrameType

from jobd.seams.descriptors import Guarded


class Stop:
    """A flag to look at between jobs, and a descriptor to wait on while idle."""

    def __init__(self) -> None:
        self.asked = False
        self.attention = False
        """Something is to be seen to before the next job: we are asked to stop, or told of a change."""
        self._open()

    def _open(self) -> None:
        self.readable, self._writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._guarded = Guarded(self.descriptors)

    @property
    def descriptors(self) -> tuple[int, int]:
        """Name the descriptors it lives on."""
        return self.readable, self._writable

    def listen(self) -> None:
        """Let SIGTERM ask. SIGINT is the terminal's word to the supervisor, which passes it on."""
        signal.signal(signal.SIGTERM, self._heard)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        held = _Held()
        # In the child they are called in this order: nothing is let through to our handler.
        os.register_at_fork(after_in_child=self._forget)
        os.register_at_fork(
            before=held.hold, after_in_parent=held.let_through, after_in_child=held.let_through
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

    def ask(self) -> None:
        """Ask. Safe in a signal handler, and any number of times."""
        if not self.asked:
            self.asked = self.attention = True
            if not self._guarded.lost():  # or a task's file would be written to
                os.write(self._writable, b"x")

    def attend(self) -> None:
        """Forget what was to be seen to; whoever calls this sees to it now."""
        self.attention = False
        self.attention = self.asked  # it may have been asked between the two

    def wait(self, seconds: float, *, beside: int | None = None) -> bool:
        """Wait until asked, until the descriptor `beside` is readable, or so long; say if asked."""
        if self._guarded.lost():
            self._open()  # a task has closed them; nothing else can wake us
        # poll, since select refuses descriptors from 1024 on, and the application opens some too.
        poll = select.poll()
        for descriptor in (self.readable, beside):
            if descriptor is not None:
                poll.register(descriptor, select.POLLIN)
        if not self.asked:
            poll.poll(seconds * 1000)
        return self.asked

    def __call__(self) -> bool:
        return self.asked


class _Held:
    """SIGTERM, from before a fork until the child has its own handler: it may come as soon as that
    has a pid. A thread that had it blocked anyway keeps it so."""

    def __init__(self) -> None:
        self._mine = threading.local()

    def hold(self) -> None:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))
        self._mine.was_blocked = signal.SIGTERM in before

    def let_through(self) -> None:
        if not getattr(self._mine, "was_blocked", False):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))
