"""How fast the processes of one queue work, measured from looks at their pages.

Two figures come of it: how many cells are in use, on average over the last seconds, and how many jobs
a second one process settles *when work is waiting*. Only then is a busy process busy all the time: the
few jobs of a quiet night say nothing about what it could do.

Invariant: pure, and of fixed size. What is old fades with the work that was done since, not with the
hours: the first burst of the day finds the pace of the last one. Kept in the fleet, one a queue.
"""

from __future__ import annotations

import math

import msgspec

# What is known fades over so many seconds in which somebody worked, but not below a few jobs: of jobs
# that take minutes each, the last ten seconds know nothing.
_FADE = 10.0
_FEW = 5.0
# So many jobs have to have ended before anything is known: one alone may have been a long one.
_SURE = 3.0
# Between two looks that are further apart nobody knows what happened: the supervisor itself slept.
_LONGEST_GAP = 2.0


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """What has been seen so far. `worked` are process-seconds that `done` jobs took, both faded."""

    at: float = -math.inf
    used: float = 0.0
    done: float = 0.0
    worked: float = 0.0
    since: float = 0.0  # process-seconds worked since a job was last settled
    silent: float = 0.0  # and seconds

    def rate(self, cells: int = 1) -> float | None:
        """Say how many jobs a second one process, of so many cells, settles while work is waiting.

        None: not known yet.
        """
        if self.done < _SURE:
            return None
        # A silence longer than a job used to take says that jobs have become longer.
        done, worked = self._faded()
        at_most = (done + cells) / (worked + self.silent) if worked + self.silent else math.inf
        return min(at_most, self.done / self.worked if self.worked else math.inf)

    def _faded(self) -> tuple[float, float]:
        share = max(math.exp(-self.silent / _FADE), min(1.0, _FEW / max(self.done, 1e-9)))
        return self.done * share, self.worked * share


def mean_over(within: float) -> float:
    """Give the span over which busy cells are averaged, of a queue whose work is due within a time."""
    return min(max(within / 6, 1.0), 10.0)


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """One look at all processes of a queue: how many were at work, the cells they had in use, and how
    many jobs have been settled since the look before."""

    working: int = 0
    cells: int = 1
    busy: int = 0
    settled: int = 0


def after(pace: Pace, sight: Sight, now: float, *, waits: bool, over: float) -> Pace:
    """Take in a look. `waits`: there is work for more; `over` is the span of the average."""
    span = now - pace.at
    if span <= 0.0:
        return pace
    if span > _LONGEST_GAP:
        return msgspec.structs.replace(pace, at=now)
    # With work waiting, a process between two jobs is on its way to the next one.
    used = sight.working * sight.cells if waits else sight.busy
    weight = math.exp(-span / over)
    pace = msgspec.structs.replace(pace, at=now, used=pace.used * weight + used * (1.0 - weight))
    return _measure(pace, sight, span) if waits else pace


def _measure(pace: Pace, sight: Sight, span: float) -> Pace:
    if not sight.working:
        return pace
    pace = msgspec.structs.replace(
        pace, since=pace.since + span * sight.working, silent=pace.silent + span
    )
    if not sight.settled:
        return pace
    done, worked = pace._faded()
    return msgspec.structs.replace(
        pace, done=done + sight.settled, worked=worked + pace.since, since=0.0, silent=0.0
    )
