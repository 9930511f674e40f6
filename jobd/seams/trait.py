"""One thing that a process has and its code can change (jobd.seams.surroundings)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Trait:
    """One thing, as it was when this was made."""

    def __init__(self, read: Callable[[], Any], write: Callable[[Any], object]) -> None:
        self._read = read
        self._write = write
        self.then = read()

    def differs(self) -> bool:
        """Tell whether it is another now."""
        return bool(self._read() != self.then)

    def restore(self) -> None:
        """Make it what it was. Raises OSError, ValueError."""
        self._write(self.then)
