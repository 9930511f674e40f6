"""Looks that are shared: who watches the same sees the same look, and all looks together cost little.

Each page that somebody has open is a topic. One thread looks at one topic after another, each about once
a second, renders it, and tells those who watch. Invariant: looks cost what the plan says (jobd.web.pages.plan),
and nothing at all while nobody watches; one person has so many streams and no more. What is told is a
level: who missed some looks gets the last. That Redis does not answer is told to everybody at once, and one
question a second asks for all whether it is back: each look would wait for a time-out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from jobd.core.errors import BrokerUnavailable, JobdError
from jobd.seams import clock
from jobd.web.api.problems import NotThere
from jobd.web.pages.parts import split
from jobd.web.pages.plan import Plan
from jobd.web.pages.watch import Seen, Topic, Watch

EVERY = 1.0
"""Seconds from look to look, where there is little to look at."""
Look = Callable[[Topic], str]
"""Reads and renders a topic. Blocks; raises JobdError."""


class Hub:
    """All topics that are watched. Used from any thread and event loop."""

    def __init__(
        self, look: Look, *, ask: Callable[[], object] = lambda: None, most: int = 100,
        every: float = EVERY,
    ) -> None:  # fmt: skip
        """`most` viewers at once. `ask` raises BrokerUnavailable where Redis does not answer."""
        self._look = look
        self._ask = ask
        self._most = most
        self._plan = Plan(every)
        self._lock = threading.Lock()
        self._watches: dict[Topic, set[Watch]] = {}
        self._seen: dict[Topic, Seen] = {}
        self._looked: dict[Topic, int] = {}
        self._stirred = threading.Event()  # somebody came or went: it may be somebody else's turn
        self._thread: threading.Thread | None = None
        self._closed = False

    def watch(self, topic: Topic, person: str = "", *, most: int | None = None) -> Watch | None:
        """Begin to watch; None when there are too many already, or `most` of this person. `leave` ends it."""
        watch = Watch(topic, person, lambda: self.seen(topic), lambda: self.looked_at(topic))
        with self._lock:
            people = [each.person for watches in self._watches.values() for each in watches]
            is_full = most is not None and people.count(person) >= most
            if self._closed or is_full or len(people) >= self._most:
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
        self._stirred.set()
        return watch

    def leave(self, watch: Watch) -> None:
        """Watch no more."""
        with self._lock:
            self._drop(watch)
        self._stirred.set()

    def close(self) -> None:
        """Tell everybody to go: the process ends."""
        with self._lock:
            self._closed = True
            watches = [watch for each in self._watches.values() for watch in each]
        for watch in watches:
            watch.is_closed = True
            watch.wake()
        self._stirred.set()

    def seen(self, topic: Topic) -> Seen | None:
        """Give what was seen last, while somebody watches."""
        with self._lock:
            return self._seen.get(topic)

    def looked_at(self, topic: Topic) -> int | None:
        """Give the instant (ms) of the last look that saw something, while somebody watches."""
        with self._lock:
            return self._looked.get(topic)

    def _drop(self, watch: Watch) -> None:
        watches = self._watches.get(watch.topic, set())
        watches.discard(watch)
        if not watches:
            self._watches.pop(watch.topic, None)
            self._seen.pop(watch.topic, None)
            self._looked.pop(watch.topic, None)
            self._plan.forget(watch.topic)

    def _run(self) -> None:
        """Look, until nobody watches."""
        while (turn := self._turn()) is not None:
            topic, at = turn
            left = at - clock.mono()
            if left > 0:
                self._stirred.wait(left)
                self._stirred.clear()  # whoever stirs now is seen by the next turn all the same
                continue
            with self._lock:
                self._plan.begins(self._people().get(topic, ()))
            began, spent = clock.mono(), clock.thread_seconds()
            is_away = self._see(topic)
            spent = clock.thread_seconds() - spent
            with self._lock:
                self._plan.ended(
                    topic, self._people(),
                    began=began, now=clock.mono(), spent=spent, is_away=is_away,
                )  # fmt: skip

    def _turn(self) -> tuple[Topic, float] | None:
        """Give what is to be looked at, and when; None: the thread ends, and has ended for `watch`."""
        with self._lock:
            if self._closed or not self._watches:
                self._thread = None
                return None
            return self._plan.next(self._people(), clock.mono())

    def _people(self) -> dict[Topic, set[str]]:
        return {topic: {each.person for each in them} for topic, them in self._watches.items()}

    def _see(self, topic: Topic) -> bool:
        """Look and tell; say whether Redis is away, so that nothing could be seen by anybody."""
        if self._plan.is_away and self._is_lost():
            return True
        at = clock.wall_ms()
        try:
            # A value may hold half a surrogate pair, which nothing can be sent with.
            html = self._look(topic).encode("utf-8", "replace").decode()
        except Exception as error:  # noqa: BLE001 - told to who watches; `look` has made an event of a mistake
            # It may be this look alone that takes longer than a client waits.
            if isinstance(error, BrokerUnavailable) and self._is_lost():
                return True
            self._tell(topic, None, error)
        else:
            with self._lock:
                if topic in self._watches:
                    self._looked[topic] = at
            self._tell(topic, html, None)
        return False

    def _is_lost(self) -> bool:
        """Ask whether Redis answers at all; where not, tell everybody."""
        try:
            self._ask()
        except BrokerUnavailable as error:
            with self._lock:
                topics = list(self._watches)
            for each in topics:
                self._tell(each, None, error)
            return True
        return False

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
