"""Duty: what is due is seen to be waiting, and what ended long ago goes; also where no worker is.

One bite of each queue a second, and where that was not enough, bite after bite until it is: Redis
serves one command at a time, so a bite is short, and after each there is a pause of so many times
what it took. A busy Redis answers late, and so is left alone for longer. Of several hosts one goes on
(see trim.lua).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable

from jobd.broker.store import Store
from jobd.core.options import Policy

# Of the time, this share may go into bites: the rest is for everybody else.
SHARE = 1 / 10
LONGEST_PAUSE = 0.25


class Tidier:
    """Promotes and trims queues. `name` is this keeper's, unlike any other's; `clock` is monotonic."""

    def __init__(
        self,
        *,
        name: str,
        store: Callable[[str], Store],
        retention: Callable[[str], Policy],
        clock: Callable[[], float],
    ) -> None:
        self._name = name
        self._store = store
        self._retention = retention
        self._clock = clock
        self._unfinished: deque[str] = deque()
        self._ready_at = 0.0

    @property
    def due(self) -> float:
        """When the next bite may be taken, by the clock; infinity when nothing is left to do."""
        return self._ready_at if self._unfinished else math.inf

    def begin(self, queues: Iterable[str]) -> None:
        """Take a bite of each queue; remember where there is more. Raises BrokerError."""
        these = list(queues)
        self._unfinished = deque(queue for queue in self._unfinished if queue not in these)
        for queue in these:
            self._take(queue)

    def go_on(self) -> None:
        """Take the next bite of the queue that has waited longest for one. Raises BrokerError."""
        if self._unfinished:
            self._take(self._unfinished.popleft())

    def _take(self, queue: str) -> None:
        began, store = self._clock(), self._store(queue)
        promoted = store.promote()
        trimmed = store.trim(self._retention(queue), keeper=self._name)
        if promoted.more or trimmed.more:
            self._unfinished.append(queue)
        now = self._clock()
        self._ready_at = now + min((now - began) * (1 / SHARE - 1), LONGEST_PAUSE)
