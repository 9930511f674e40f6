"""Answers that take a while, made in a thread: one at a time, shared by all who ask meanwhile.

Invariant: whatever `make` does, it runs once at a time, nobody waits longer than the bound, and the
event loop waits for nobody. One that hangs is joined by those who come later, never doubled.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class Late(Exception):
    """It was not made in time. It may still be: the next who asks gets it, or waits for it."""


class Shared(Generic[T]):
    """One kind of answer. Used from one event loop."""

    def __init__(self, name: str, make: Callable[[], T], *, within: float) -> None:
        """`make` may block, and is called in a thread of its own. Nobody waits longer than `within`."""
        self._name = name
        self._make = make
        self._within = within
        self._under_way: asyncio.Future[T] | None = None

    async def get(self) -> T:
        """Give an answer that was begun no earlier than the last one ended.

        Raises Late, and whatever `make` raises.
        """
        if self._under_way is None:
            self._under_way = self._begin()
        try:
            # Shielded: who gives up waiting does not take it away from the others.
            return await asyncio.wait_for(asyncio.shield(self._under_way), self._within)
        except TimeoutError as late:
            raise Late(f"{self._name}: not there after {self._within:g} s") from late

    def _begin(self) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        made: asyncio.Future[T] = loop.create_future()

        def succeed(result: T) -> None:
            self._under_way = None
            made.set_result(result)

        def fail(error: Exception) -> None:
            self._under_way = None
            made.set_exception(error)
            made.exception()  # if nobody waits any more, nobody has to hear of it

        def run() -> None:
            try:
                result = self._make()
            except Exception as error:  # noqa: BLE001 - raised where it is waited for
                _tell(loop, fail, error)
            else:
                _tell(loop, succeed, result)

        # Not one of a pool: the process does not wait for it at its end.
        threading.Thread(target=run, name=self._name, daemon=True).start()
        return made


def _tell(loop: asyncio.AbstractEventLoop, hear: Callable[[T], None], what: T) -> None:
    """Have the loop hear of it, unless the process is ending."""
    with suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(hear, what)
