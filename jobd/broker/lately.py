"""What was read last, for whoever is content with that: many who look at the same cost about as much as one.

Invariant: what is given was asked for within so many seconds as the caller says, none: just now; what fails is
not remembered. For several threads. Called by browse.py.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

from jobd.seams.clock import mono

T = TypeVar("T")


class Lately(Generic[T]):
    """One thing that is read again and again by `read`."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._lock = Lock()
        self._known: tuple[float, T] | None = None

    def get(self, *, within: float) -> T:
        """Give it as it was within so many seconds. Raises what `read` raises."""
        began = mono()
        with self._lock:
            if self._known is not None and began - self._known[0] < within:
                return self._known[1]
        found = self._read()
        with self._lock:
            self._known = began, found
        return found
