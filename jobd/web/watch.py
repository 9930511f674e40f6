"""Threads that look at the world again and again, so that no request has to.

Invariant: a look that hangs, or fails in a way nobody thought of, ends neither the thread's life nor the
process: what it last found grows old, and that is seen by who reads it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from jobd.core.web_events import WebFailed
from jobd.seams.log import Emit


class Watch:
    """Calls `look` at once and then every so many seconds, in a thread of its own."""

    def __init__(self, name: str, look: Callable[[], object], *, every: float, emit: Emit) -> None:
        self._look = look
        self._every = every
        self._emit = emit
        self._told = ""
        self._ended = threading.Event()
        self.has_looked = threading.Event()
        """Set when the first look has ended, well or not."""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more. A look that hangs is not waited for: it ends with the process."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            self._look_once()
            self.has_looked.set()
            self._ended.wait(self._every)

    def _look_once(self) -> None:
        try:
            self._look()
            self._told = ""
        except Exception as unforeseen:  # noqa: BLE001 - the thread must outlive it, and it is told
            why = repr(unforeseen)
            if why != self._told:
                self._told = why
                self._emit(WebFailed(path=self._thread.name, why=why))
