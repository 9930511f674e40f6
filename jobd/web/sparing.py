"""The same failure is told now and then, not as often as it happens: whoever reaches the port can cause it.

Invariant: in every EVERY seconds the same failure is one event, and all of them together are at most
MOST; other events are passed on as they come.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from jobd.core.events import Event
from jobd.core.web_events import WebFailed
from jobd.seams.clock import mono
from jobd.seams.log import Emit

EVERY = 60.0
MOST = 100


class Sparing:
    """Passes events on to `emit`. For any thread."""

    def __init__(self, emit: Emit, *, clock: Callable[[], float] = mono) -> None:
        self._emit = emit
        self._clock = clock
        self._lock = threading.Lock()
        self._told: dict[tuple[str, str], float] = {}

    def __call__(self, event: Event) -> None:
        """Tell of it, or not again."""
        if not isinstance(event, WebFailed) or self._is_new(event.path, event.why):
            self._emit(event)

    def _is_new(self, path: str, why: str) -> bool:
        now = self._clock()
        with self._lock:
            self._told = {known: at for known, at in self._told.items() if now - at < EVERY}
            if (path, why) in self._told or len(self._told) >= MOST:
                return False
            self._told[path, why] = now
            return True
