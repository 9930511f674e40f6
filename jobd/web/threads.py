"""Blocking work, done in threads: so many at once, so many in line, and no more.

Invariant: the event loop waits for nobody, a request waits no longer than the bound, and the process's
end for no thread. A place is free again when its work has ended, whoever has given up waiting for it;
what has not begun by then does not begin.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class Crowded(Exception):
    """All places are taken, and so is the line for them."""


class TooLate(Exception):
    """The work has not ended within the bound. If it has begun it goes on, and what it gives is nobody's."""


class Threads:
    """Used from one event loop."""

    def __init__(
        self, *, most: int = 6, line: int = 60, within: float = 20.0, name: str = "blocking"
    ) -> None:
        """`most` work at once, `line` more may wait; nobody waits longer than `within` seconds."""
        self._name = name
        self._free = most
        self._room = line
        self._within = within
        self._line: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()

    async def run(self, work: Callable[[], T]) -> T:
        """Give what the work gives. Raises what it raises, Crowded, TooLate."""
        made: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._free:
            self._begin(work, made)
        elif len(self._line) < self._room:
            self._line.append((work, made))
        else:
            raise Crowded
        try:
            await asyncio.wait([made], timeout=self._within)
            if not made.done():
                raise TooLate
            return made.result()
        finally:
            made.cancel()

    def _begin(self, work: Callable[[], T], made: asyncio.Future[T]) -> None:
        loop = asyncio.get_running_loop()

        def run() -> None:
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 - raised where it is waited for
                _tell(loop, self._ended, partial(made.set_exception, error), made)
            else:
                _tell(loop, self._ended, partial(made.set_result, result), made)

        self._free -= 1
        try:
            # Not of a pool: the process does not wait for it at its end.
            threading.Thread(target=run, name=self._name, daemon=True).start()
        except RuntimeError as none_to_have:
            self._free += 1
            made.set_exception(Crowded(str(none_to_have)))

    def _ended(self, say: Callable[[], None], made: asyncio.Future[Any]) -> None:
        """Take a place back, and give it to the first of the line that is still waited for."""
        self._free += 1
        if not made.done():
            say()
        while self._free and self._line:
            work, waiting = self._line.popleft()
            if not waiting.done():
                self._begin(work, waiting)


def _tell(
    loop: asyncio.AbstractEventLoop,
    hear: Callable[[Callable[[], None], asyncio.Future[Any]], None],
    say: Callable[[], None],
    made: asyncio.Future[Any],
) -> None:
    """Have the loop hear of it, unless the process is ending."""
    with suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(hear, say, made)
