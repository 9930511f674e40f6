"""One viewer's interest in what is looked at: it waits for news, in the event loop of whoever it belongs to.

Used by jobd.web.pages.live, which looks, and by streams, which send.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from jobd.seams import clock
from jobd.web.pages.parts import Parts


class Topic(NamedTuple):
    """What somebody looks at: a page with its parameters, as seen by whoever has this role."""

    page: str
    path: tuple[tuple[str, str], ...]
    query: tuple[tuple[str, str], ...]
    role: str
    root: str


class Seen(NamedTuple):
    """What was seen, at an instant (ms since 1970, this host's clock). `number` grows with each change.

    `problem`: why there was nothing to be seen; then the rest is what was seen last.
    """

    number: int
    at: int
    html: str
    parts: Parts
    problem: str | None = None
    gone: bool = False


class Watch:
    """One viewer's interest in one topic. Belongs to the event loop it was made in."""

    def __init__(
        self, topic: Topic, person: str, seen: Callable[[], Seen | None],
        looked_at: Callable[[], int | None],
    ) -> None:  # fmt: skip
        """`seen` gives what was seen last, and `looked_at` when, ms since 1970."""
        self.topic = topic
        self._seen = seen
        self._looked_at = looked_at
        self.person = person
        self._loop = asyncio.get_running_loop()
        self._since = clock.wall_ms()
        self._news = asyncio.Event()
        self._told = 0
        self.is_closed = False

    async def next(self, *, within: float) -> Seen | None:
        """Wait for what this viewer has not seen; None when nothing came within so many seconds."""
        try:
            await asyncio.wait_for(self._wait(), within)
        except TimeoutError:
            return None
        seen = self._seen()
        if seen is not None:
            self._told = seen.number
        return seen

    @property
    def as_of(self) -> int:
        """The instant of the last look that saw something, ms since 1970; before the first, that of coming."""
        return self._looked_at() or self._since

    async def _wait(self) -> None:
        while not self.is_closed:
            seen = self._seen()
            if seen is not None and seen.number != self._told:
                return
            self._news.clear()
            await self._news.wait()

    def wake(self) -> None:
        """Look again. From any thread."""
        try:
            self._loop.call_soon_threadsafe(self._news.set)
        except RuntimeError:
            self.is_closed = True  # its loop has ended, and with it whoever watched
