"""The stream that keeps a page up to date: Server-Sent Events, one connection a page that is looked at.

    event: whole    {"html": …, "now": …}     all of it, at first and when more than parts changed;
                                              never where the rest of the page stands still
    event: parts    {"parts": {id: html}, …}  the elements that changed
    event: away     {"why": …}                nothing can be seen now; it goes on by itself
    event: gone     {}                        there is no such thing any more
    event: end      {}                        who looks may no more; load the page again
    event: beat     {"now": …}                nothing is new; so that both sides know of each other

`now` is the instant (ms) at which it is sent: ages that pages show go by it. `late` stands where what is
shown is older than it should be: so many ms.

Invariant: a viewer who takes nothing in is left after a while; one who may look no more is told so within
a minute, and one of whom that cannot be found out though pages are seen, after some; nothing is kept for a viewer but what was sent last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.types import Message, Receive, Scope, Send

from jobd.seams import clock
from jobd.web.pages.live import Hub
from jobd.web.pages.parts import Parts, change
from jobd.web.pages.watch import Seen, Watch

BEAT = 10.0
"""Seconds of silence at most."""
STEP = 2.0
"""Seconds until it is looked again whether news are late."""
LATE_MS = 5000
"""What was looked at longer ago is late: there is more to look at than looks may cost."""
TAKEN_WITHIN = 40.0
"""Longer than our own server waits, which then ends it without a word; another one may wait for ever."""
CHECKED_EVERY = 30.0
MOST_UNKNOWN = 4
"""So often in a row it may not be known whether somebody may go on, while there is something to be seen."""

Still = Callable[[], Awaitable[bool | None]]
"""Says whether who looks may go on; None: that cannot be found out now."""

_HEAD: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),  # nginx would keep it until it is a page's worth
    ],
}


class Stream:
    """One answer that goes on. An application of ASGI. `partial`: what is looked at is not the whole page."""

    def __init__(self, hub: Hub, watch: Watch, still: Still, *, partial: bool = False) -> None:
        self._hub = hub
        self._watch = watch
        self._still = still
        self._partial = partial
        self._before: Parts | None = None
        self._said_at = clock.mono()
        self._was_late = False
        self._sees = True
        self._unknown = 0

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send, until somebody goes."""
        sending = asyncio.ensure_future(self._send_all(send))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._hub.leave(self._watch)
            for task in (sending, leaving):
                task.cancel()
            results = await asyncio.gather(sending, leaving, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, OSError | TimeoutError):
                raise result

    async def _send_all(self, send: Send) -> None:
        await send(_HEAD)
        checked_at = clock.mono()
        while not self._watch.is_closed:
            seen = await self._watch.next(within=min(STEP, BEAT))
            text = self._beat() if seen is None else self._words(seen)
            if clock.mono() - checked_at >= CHECKED_EVERY:
                checked_at = clock.mono()
                if not await self._may_go_on():
                    text = _event("end", {})
                    self._watch.is_closed = True
            if text:
                self._said_at = clock.mono()
                body: Message = {
                    "type": "http.response.body", "body": text.encode(), "more_body": True,
                }  # fmt: skip
                await asyncio.wait_for(send(body), TAKEN_WITHIN)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _may_go_on(self) -> bool:
        """Say whether to go on. While Redis is away nothing new is shown, and nobody is sent away."""
        known = await self._still()
        self._unknown = self._unknown + 1 if known is None and self._sees else 0
        return known if known is not None else self._unknown < MOST_UNKNOWN

    def _beat(self) -> str:
        """Say how late news are, while they are; else, now and then, that nothing is new."""
        when, was_late = self._when(), self._was_late
        self._was_late = "late" in when
        if self._was_late or was_late or clock.mono() - self._said_at >= BEAT:
            return _event("beat", when)
        return ""

    def _when(self) -> dict[str, int]:
        now = clock.wall_ms()
        late = now - self._watch.as_of
        return {"now": now, "late": late} if late > LATE_MS else {"now": now}

    def _words(self, seen: Seen) -> str:
        """Say what this viewer lacks."""
        when = self._when()
        self._sees = seen.problem is None
        if seen.gone:
            return _event("gone", {})
        if seen.problem is not None:
            return _event("away", {"why": seen.problem, **when})
        found = change(self._before, seen.parts, seen.html)
        self._before = seen.parts
        if found is None:  # it is back, as it was
            return _event("parts", {"parts": {}, **when})
        if found.whole is not None and self._partial:
            return _event("parts", {"parts": seen.parts.parts, **when})
        if found.whole is not None:
            return _event("whole", {"html": found.whole, **when})
        return _event("parts", {"parts": found.parts, **when})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _event(name: str, content: dict[str, Any]) -> str:
    # JSON is one line.
    return f"event: {name}\ndata: {msgspec.json.encode(content).decode()}\n\n"
