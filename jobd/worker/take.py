"""Taking from a deque that two threads take from: what one of them gets, the other does not."""

from __future__ import annotations

from collections import deque
from typing import TypeVar

T = TypeVar("T")


def take_all(line: deque[T]) -> list[T]:
    """Empty it; give what was in it."""
    taken = []
    while True:
        try:
            taken.append(line.popleft())
        except IndexError:
            return taken
