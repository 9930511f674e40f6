"""What a worker's memory says: when it is worth a dear look, and when it is too much.

What is resident is read at every look and bounds what a process has of its own, which is dear to read
(jobd.seams.memory). So the dear look is taken where that bound is over a limit, and else now and then, for
people. A process whose shared part alone is over the limit is not read at every look for that: its own
cannot have grown by more than what is resident has, save by writing to what it shared.

Invariant: a worker is killed only for what it has taken since its birth. What it shares with its
preloader becomes its own when the others who share it end, at a reload say: that is nothing it did.
Pure; called by jobd.supervisor.outlook and looks.
"""

from __future__ import annotations

import math

import msgspec

SHOWN_EVERY = 10.0
# For what it may have written to of what it shares, which no bound tells.
_AGAIN_AFTER = 2.0


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """When a worker of a queue is replaced, and over which memory it is killed. 0 is never."""

    memory: int = 0
    memory_hard: int = 0
    jobs: int = 0
    age: float = 0.0

    @property
    def of_memory(self) -> bool:
        """Tell whether memory is to be looked at, every time."""
        return bool(self.memory or self.memory_hard)


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One look: `rss` is 0 when nobody looked; `private` and `shared` are None without a dear look."""

    rss: int = 0
    private: int | None = None
    shared: int | None = None


NOT_READ = Reading()


class Weight(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one worker's memory, and since when it is over `Limits.memory`."""

    private: int = 0
    shared: int = 0
    rss: int = 0  # when `private` was read
    read_at: float = -math.inf
    shared_at_birth: int | None = None
    over_since: float | None = None

    @property
    def taken(self) -> int:
        """Its own, without what it got because others let go of it."""
        return self.private - max(0, (self.shared_at_birth or 0) - self.shared)


def is_due(limits: Limits, weight: Weight, rss: int, now: float) -> bool:
    """Tell whether to take a dear look now."""
    span = now - weight.read_at
    if span >= SHOWN_EVERY:  # and the first time
        return True
    grown = max(0, rss - weight.rss)
    return any(
        value <= limit < rss and (value + grown > limit or span >= _AGAIN_AFTER)
        for limit, value in ((limits.memory, weight.private), (limits.memory_hard, weight.taken))
        if limit
    )


def weigh(limits: Limits, weight: Weight, seen: Reading, now: float) -> Weight:
    """Take in a look."""
    if seen.private is None or seen.shared is None:
        return weight
    is_over = 0 < limits.memory < seen.private
    over_since = now if weight.over_since is None else weight.over_since
    born_with = seen.shared if weight.shared_at_birth is None else weight.shared_at_birth
    return Weight(
        private=seen.private,
        shared=seen.shared,
        rss=seen.rss,
        read_at=now,
        shared_at_birth=max(born_with, seen.shared),
        over_since=over_since if is_over else None,
    )


def is_too_much(limits: Limits, weight: Weight) -> bool:
    """Tell whether a worker has to end at once."""
    return 0 < limits.memory_hard < weight.taken
