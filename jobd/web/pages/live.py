"""Looks that are shared: who watches the same sees the same look, and all looks together cost little.

Each page that somebody has open is a topic. One thread looks at one topic after another, about once a
second, renders it, and tells those who watch. Invariant: looks take at most a twentieth of one
processor, however many topics and viewers there are - more of them only make news later -, and nothing
at all while nobody watches. What is told is a level: who missed some looks gets the last.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import NamedTuple

from jobd.core.errors import JobdError
from jobd.seams import clock
from jobd.web.api.problems import NotThere
from jobd.web.pages.parts import Parts, split

EVERY = 1.0
"""Seconds from look to look, where there is little to look at."""
_SHARE = 20  # for each second of processor time so many pass until the next round


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


Look = Callable[[Topic], str]
"""Reads and renders a topic. Blocks; raises JobdError."""


class Watch:
    """One viewer's interest in one topic. Belongs to the event loop it was made in."""

    def __init__(self, hub: Hub, topic: Topic) -> None:
        self._hub = hub
        self.topic = topic
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._told = 0
        self.is_closed = False

    async def next(self, *, within: float) -> Seen | None:
        """Wait for what this viewer has not seen; None when nothing came within so many seconds."""
        try:
            await asyncio.wait_for(self._wait(), within)
        except TimeoutError:
            return None
        seen = self._hub.seen(self.topic)
        if seen is not None:
            self._told = seen.number
        return seen

    async def _wait(self) -> None:
        while not self.is_closed:
            seen = self._hub.seen(self.topic)
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


class Hub:
    """All topics that are watched. Used from any thread and event loop."""

    def __init__(self, look: Look, *, most: int = 100, every: float = EVERY) -> None:
        """`most` viewers at once."""
        self._look = look
        self._most = most
        self._every = every
        self._lock = threading.Lock()
        self._watches: dict[Topic, set[Watch]] = {}
        self._seen: dict[Topic, Seen] = {}
        self._fresh = threading.Event()  # somebody watches what nobody has looked at yet
        self._thread: threading.Thread | None = None
        self._closed = False

    def watch(self, topic: Topic) -> Watch | None:
        """Begin to watch; None when there are too many already. `leave` ends it."""
        watch = Watch(self, topic)
        with self._lock:
            if self._closed or sum(map(len, self._watches.values())) >= self._most:
                return None
            self._watches.setdefault(topic, set()).add(watch)
            if self._thread is None:
                # A daemon: the process does not wait for it at its end.
                self._thread = threading.Thread(target=self._run, name="looks", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError:  # no thread to be had
                    self._thread = None
                    self._drop(watch)
                    return None
        self._fresh.set()
        return watch

    def leave(self, watch: Watch) -> None:
        """Watch no more."""
        with self._lock:
            self._drop(watch)

    def close(self) -> None:
        """Tell everybody to go: the process ends."""
        with self._lock:
            self._closed = True
            watches = [watch for each in self._watches.values() for watch in each]
        for watch in watches:
            watch.is_closed = True
            watch.wake()
        self._fresh.set()

    def seen(self, topic: Topic) -> Seen | None:
        """Give what was seen last, while somebody watches."""
        with self._lock:
            return self._seen.get(topic)

    def _drop(self, watch: Watch) -> None:
        watches = self._watches.get(watch.topic, set())
        watches.discard(watch)
        if not watches:
            self._watches.pop(watch.topic, None)
            self._seen.pop(watch.topic, None)

    def _run(self) -> None:
        """Look, until nobody watches. What is new is looked at first, and at once."""
        while not self._ends():
            began = clock.thread_seconds()
            for topic in self._line():
                self._see(topic)
            spent = clock.thread_seconds() - began
            self._rest(clock.mono() + max(self._every, _SHARE * spent))

    def _rest(self, until: float) -> None:
        """Wait, but look at what is new."""
        while (left := until - clock.mono()) > 0 and self._is_watched():
            if self._fresh.wait(left):
                self._fresh.clear()
                for topic in self._new():
                    self._see(topic)

    def _is_watched(self) -> bool:
        with self._lock:
            return bool(self._watches) and not self._closed

    def _ends(self) -> bool:
        """Whether the thread may end; then it has ended, and who watches next starts another."""
        with self._lock:
            if self._watches and not self._closed:
                return False
            self._thread = None
            return True

    def _line(self) -> list[Topic]:
        with self._lock:
            self._fresh.clear()
            return list(self._watches)

    def _new(self) -> list[Topic]:
        with self._lock:
            return [topic for topic in self._watches if topic not in self._seen]

    def _see(self, topic: Topic) -> None:
        try:
            html = self._look(topic)
        except Exception as error:  # noqa: BLE001 - told to who watches; `look` has made an event of a mistake
            self._tell(topic, None, error)
        else:
            self._tell(topic, html, None)

    def _tell(self, topic: Topic, html: str | None, error: Exception | None) -> None:
        problem = None if error is None else _words(error)
        with self._lock:
            watches = list(self._watches.get(topic, ()))
            if not watches:
                return
            last = self._seen.get(topic)
            text = html if html is not None else (last.html if last else "")
            if last is not None and (last.html, last.problem) == (text, problem):
                return
            self._seen[topic] = Seen(
                number=last.number + 1 if last else 1,
                at=clock.wall_ms(),
                html=text,
                parts=last.parts if last and html is None else split(text),
                problem=problem,
                gone=isinstance(error, NotThere),
            )
        for watch in watches:
            watch.wake()


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, JobdError) else "this cannot be shown; see the log"
