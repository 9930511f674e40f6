"""Whose turn it is: looks go round the people who watch, however many pages one of them has open.

Not for threads: the hub asks under its lock.
"""

from __future__ import annotations

from collections.abc import Iterable

_MOST_KNOWN = 1000


class Turns:
    """Remembers who had a turn when, also of those who have left: to come anew brings nobody forward."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._number = 0

    def took(self, people: Iterable[str]) -> None:
        """Note that a look was made for these."""
        self._number += 1
        for person in people:
            self._last.pop(person, None)
            self._last[person] = self._number
        while len(self._last) > _MOST_KNOWN:
            del self._last[next(iter(self._last))]

    def rank(self, people: Iterable[str]) -> int:
        """Give what is the smaller the longer one of these has had no turn."""
        return min((self._last.get(person, 0) for person in people), default=0)
