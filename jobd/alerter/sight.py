"""Whether this host can use Redis: said by the thread that speaks to it, read by the one that must not wait.

Invariant: a reader never blocks; that nothing was heard for long is an answer too, so a name that is not
looked up and a server that swallows what it is sent are found out like one that refuses.
"""

from __future__ import annotations

import threading

from jobd.core.durations import words
from jobd.seams.clock import mono


class Sight:
    """The last that was seen of Redis. Times are monotonic seconds."""

    def __init__(self, silent_after: float) -> None:
        self._silent_after = silent_after
        self._lock = threading.Lock()
        self._heard_at = mono()
        self._bad = ""
        self._known = False

    def heard(self) -> None:
        """Redis has answered something: it is slow, perhaps, and not silent."""
        with self._lock:
            self._heard_at = mono()

    def good(self) -> None:
        """Redis has answered all, as it should."""
        with self._lock:
            self._heard_at, self._bad, self._known = mono(), "", True

    def bad(self, why: str) -> None:
        """It has not."""
        with self._lock:
            self._bad, self._known = why, True

    def unreachable(self) -> str | None:
        """Say why Redis cannot be used; '' where it can, None as long as nothing is known."""
        with self._lock:
            if self._bad:
                return self._bad
            silent_for = mono() - self._heard_at
            if silent_for > self._silent_after:
                return f"redis: no answer for {words(silent_for)}; expected one within the time-out"
            return "" if self._known else None
