"""Waking one thread that waits on descriptors, from other threads of its process."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Iterable


class Bell:
    """Rung by many, heard by one. Ringing costs nothing while nobody listens for it."""

    def __init__(self) -> None:
        self.readable = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.wanted = False
        """Somebody waits, or is about to."""

    def listen(self) -> None:
        """Want to be rung from now on. Then look at what one would be rung for, then wait."""
        self.wanted = True

    def ring(self) -> None:
        """Wake who listens, once."""
        if self.wanted:
            self.wanted = False
            with contextlib.suppress(OSError):  # a task has closed it: who waits looks by itself
                os.eventfd_write(self.readable, 1)

    def wait(self, seconds: float, *, beside: Iterable[int] = ()) -> set[int]:
        """Wait until rung, until one of `beside` is readable, or so long; give those that are."""
        poll = select.poll()
        for descriptor in (self.readable, *beside):
            poll.register(descriptor, select.POLLIN)
        found = {descriptor for descriptor, _ in poll.poll(seconds * 1000)}
        self.wanted = False
        if self.readable in found:
            self._hear()
        return found

    def _hear(self) -> None:
        try:
            os.eventfd_read(self.readable)
        except OSError:
            # A task has closed it, or something else has its number by now.
            self.readable = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
