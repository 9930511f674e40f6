"""Which topic is looked at next, and when. Pure: instants are given, in seconds of one monotonic clock.

Invariant: looks take at most one part in SHARE of a processor, however many topics there are: more of them
only come later. What is new goes first, but every other turn is of what waits longest; of what is due, of
those people who had no turn for longest. Not for threads: the hub asks under its lock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from jobd.web.pages.turns import Turns
from jobd.web.pages.watch import Topic

SHARE = 20
"""For each second of processor time that a look took, so many pass until the next look."""
Watched = Mapping[Topic, Collection[str]]
"""What is watched, and by whom."""


class Plan:
    """When each topic is looked at. `is_away`: Redis was, at the last look."""

    def __init__(self, every: float) -> None:
        self.is_away = False
        self._every = every
        self._due: dict[Topic, float] = {}  # when to look again; new topics are not in it
        self._free = 0.0  # when the last look has been made up for
        self._was_new = False
        self._turns = Turns()

    def forget(self, topic: Topic) -> None:
        """Nobody watches it any more."""
        self._due.pop(topic, None)

    def next(self, watched: Watched, now: float) -> tuple[Topic, float]:
        """Give what is to be looked at, and when. Something is watched."""
        fresh = [topic for topic in watched if topic not in self._due]
        old = min(
            self._due.items(),
            # Of what is due already, what is of those who had no turn for longest.
            key=lambda each: (max(0.0, each[1] - now), self._rank(watched, each[0]), each[1]),
            default=None,
        )
        if old is not None and (not fresh or (self._was_new and old[1] <= now)):
            return old[0], max(old[1], self._free)
        return min(fresh, key=lambda topic: self._rank(watched, topic)), self._free

    def begins(self, people: Collection[str]) -> None:
        """A look is made for these."""
        self._turns.took(people)

    def ended(
        self, topic: Topic, watched: Watched, *, began: float, now: float, spent: float, is_away: bool
    ) -> None:  # fmt: skip
        """A look ended that took so much processor time. That Redis went, or came back, holds for all."""
        self._free = now + SHARE * spent
        self._was_new = topic not in self._due
        learnt, self.is_away = is_away or self.is_away, is_away
        if learnt:
            self._due = dict.fromkeys(watched, now + self._every if is_away else began)
        if topic in watched and not is_away:
            self._due[topic] = began + self._every

    def _rank(self, watched: Watched, topic: Topic) -> int:
        return self._turns.rank(watched.get(topic, ()))
