"""Duty: what a vanished host held goes back when its leases have ended.

A lease is acted on only when the same expired score was seen twice, at least a renew period apart
by our own monotonic clock and over one unbroken connection: then its owner had every chance to
renew it. The first look is due exactly when the lease ends, so that nothing waits longer than it
must: one lease, and one renew period.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jobd.broker.store import Store


@dataclass(frozen=True, slots=True)
class Suspect:
    """An expired lease, and when (monotonic seconds) it was first seen to have ended there."""

    score: str
    since: float


class Reaper:
    """Watches the leases of one queue. `period` is the renew period in seconds."""

    def __init__(self, store: Store, *, lease: float, period: float) -> None:
        self._store = store
        self._lease = lease
        self._period = period
        self._suspects: dict[str, Suspect] = {}

    def forget(self) -> None:
        """Begin anew, after the connection broke: what was seen before it proves nothing."""
        self._suspects.clear()

    def look(
        self,
        *,
        ours: set[str],
        store_now: int,
        clock: Callable[[], float],
        host_of: Callable[[str], str] = lambda _: "",
    ) -> tuple[list[str], float]:
        """Look once; give who was reaped, and in how many seconds to look again.

        `ours` are the incarnations of this host: the supervisor answers for those. `clock` is ours.
        `host_of` names a worker's host.
        """
        leases = {n: s for n, s in self._store.open_leases().items() if n not in ours}
        # Read when the answer is here, not when it was asked for: a server that was frozen in between
        # answers late, and its first answer must not look as if it were an old one.
        now = clock()
        self._suspects = {
            name: known for name, known in self._suspects.items() if leases.get(name) == known.score
        }
        reaped: list[str] = []
        again = self._period
        for name, score in leases.items():
            left = (float(score) - store_now) / 1000
            if left > 0:
                again = min(again, left + 0.01)
                continue
            known = self._suspects.setdefault(name, Suspect(score, now))
            # A closed lease has a releaser at work; only one that stays so is abandoned.
            wait = self._lease if score == "0" else self._period
            if now - known.since < wait:
                again = min(again, known.since + wait - now + 0.005)
            elif self._store.reap(name, score, host_of(name)):
                reaped.append(name)
                del self._suspects[name]
        return reaped, again
