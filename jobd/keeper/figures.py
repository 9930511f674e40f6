"""Duty: count what waits, once a second, for those who decide how many processes a queue has.

Told to the supervisor with whether Redis has answered all that the keeper asked it in that second: who
hears nothing, or that it has not, knows nothing about the queues. Queues whose number of processes is
fixed are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable

from jobd.broker.backlog import Backlog, Backlogs

EVERY = 1.0


class Figures:
    """Counts, and makes the message."""

    def __init__(self, backlogs: Backlogs, queues: Iterable[str]) -> None:
        self._backlogs = backlogs
        self._queues = sorted(queues)
        self._found: dict[str, Backlog] | None = None
        self._look_at = 0.0
        self._say_at = 0.0
        self._lost = False

    def look(self, now: float) -> None:
        """Count, when it is time. Raises BrokerError."""
        if now >= self._look_at:
            self._look_at = now + EVERY
            self._found = self._backlogs.read(self._queues)

    def lost(self) -> None:
        """Take in that Redis did not answer something."""
        self._lost = True
        self._look_at = 0.0

    def message(self, now: float) -> dict[str, object] | None:
        """Give what there is to say, once a second: a look is awaited for as long again."""
        found, lost = self._found, self._lost
        is_news = found is not None or lost
        if now < (self._say_at if is_news else self._say_at + EVERY):
            return None
        self._say_at = now + EVERY
        self._found, self._lost = None, False
        if found is None or lost:
            return {"store": False}
        return {"store": True, "queues": found}
