"""Duty: what is due is seen to be waiting, and what ended long ago goes; also where no worker is.

One bite of each queue a second, and where that was not enough, bite after bite until it is. Redis
serves one command at a time, so a bite must be short: how many jobs it takes follows from how long
the last one held the server, by the server's own clock, for a warm cache is many times as quick as a
cold one. After each bite there is a pause of many times what it took. Of several hosts one goes on
(see trim.lua).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable

from jobd.broker.bites import TRIM_BITE
from jobd.broker.store import Store
from jobd.core.options import Policy

# Of the server's time, this share may go into trimming: the rest is for everybody else. Work that is
# due is in more of a hurry, and claims line up what comes next themselves: with 100,000 jobs due in
# one second the keeper sees to it that priorities count among all of them soon.
SHARE = 1 / 30
PROMOTE_SHARE = 1 / 4
BITE_SECONDS = 0.0015
SMALLEST, LARGEST = 16, 1000
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
        self._size = TRIM_BITE
        self._unfinished: deque[str] = deque()
        self._ready_at = 0.0

    @property
    def due(self) -> float:
        """When the next bite may be taken, by the clock; infinity when nothing is left to do."""
        return self._ready_at if self._unfinished else math.inf

    def forget(self) -> None:
        """Leave what is left to do to the next time."""
        self._unfinished.clear()

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
        store = self._store(queue)
        promoted = store.promote()
        trimmed = store.trim(self._retention(queue), keeper=self._name, limit=self._size)
        if promoted.more or trimmed.more:
            self._unfinished.append(queue)
        if trimmed.more:
            self._size = next_size(self._size, trimmed.took)
        pause = promoted.took * (1 / PROMOTE_SHARE - 1) + trimmed.took * (1 / SHARE - 1)
        self._ready_at = self._clock() + min(pause, LONGEST_PAUSE)


def next_size(size: int, took: float) -> int:
    """How many jobs to take, when so many took so many seconds: half as many, or a quarter more, or
    something between."""
    wanted = size * BITE_SECONDS / max(took, 1e-6)
    bounded = min(max(wanted, size / 2), size * 1.25 + 1)
    return round(min(max(bounded, SMALLEST), LARGEST))
