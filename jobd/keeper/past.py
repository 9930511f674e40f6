"""What workers took of memory in the last hour: a number a minute, for people who want to see it grow.

It is kept here, in the keeper, and goes out in the host's word: so whoever serves pages has it at once,
after a restart too, and the supervisor writes no file for it. A keeper that is new goes on from the last
word. Figures, of workers with 60 numbers each: a word of 8 workers has 6 KB instead of 3, of 256 89 KB
without any, 150 KB with the 32 numbers that each has then; to write such a word takes half a millisecond,
every five seconds. Pure; called by jobd.keeper.hosts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from jobd.core.portrait import Daemon, Worker

MINUTE = 60.0
MOST = 60
# Numbers in one word: of many workers each has fewer.
MOST_IN_ALL = 8192


class _Ring(NamedTuple):
    """One worker's: the most that it took in each minute, in KiB, and when the last minute began."""

    kib: list[int]
    began: float


class Past:
    """The last hour of one daemon's workers."""

    def __init__(self, before: Iterable[Worker] = (), now: float = 0.0) -> None:
        """`before` are workers with what the keeper before this one knew."""
        self._rings = {
            each.incarnation: _Ring(each.memory_past[-MOST:], now)
            for each in before
            if each.incarnation is not None and each.memory_past
        }

    def note(self, daemon: Daemon, now: float) -> None:
        """Take in how a daemon is at `now`, monotonic; forget workers that are gone."""
        rings = {}
        for worker in daemon.workers:
            name, ring = worker.incarnation, self._rings.get(worker.incarnation or "")
            if name is not None and worker.memory is not None:
                rings[name] = _added(ring, worker.memory >> 10, now)
            elif name is not None and ring is not None:
                rings[name] = ring
        self._rings = rings

    def told(self, daemon: Daemon) -> Daemon:
        """Give the daemon with its workers' past."""
        most = min(MOST, MOST_IN_ALL // max(1, len(daemon.workers)))
        workers = [
            replace(worker, memory_past=ring.kib[-most:])
            if (ring := self._rings.get(worker.incarnation or ""))
            else worker
            for worker in daemon.workers
        ]
        return replace(daemon, workers=workers)


def _added(ring: _Ring | None, kib: int, now: float) -> _Ring:
    if ring is None:
        return _Ring([kib], now)
    if now - ring.began < MINUTE:
        return _Ring([*ring.kib[:-1], max(kib, ring.kib[-1])], ring.began)
    return _Ring([*ring.kib, kib][-MOST:], now)
