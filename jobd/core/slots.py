"""The slots of a schedule: the instants at which it fires, in ms since 1970, in order.

Pure: the same slots on every host, whenever it asks, so that hosts agree without talking.

`Every` counts from 1970-01-01T00:00Z, so it has no memory and no drift. `CronSlots` knows two kinds
of lines, as Debian's cron does:

- A line that names times of the day (`30 2 * * *`) is met once on each of its days. A time that the
  clocks skip is met at the first minute after the gap; one that comes twice, the first time.
- A line with a star for its minute or hour (`*/10 * * * *`, `0 * * * *`) is a rhythm: it is met at
  each minute whose wall clock fits. What is skipped is not met, what comes twice is met twice.

cronsim's own walk is not used. It loses half an hour where the clocks go back by one (Lord Howe),
and after the first pass of an hour that comes twice it may give a time that is over.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import takewhile
from typing import Protocol

from jobd.core.cron import Cron
from jobd.core.errors import OptionError
from jobd.core.zones import zone

MINUTE_MS = 60_000
_DAY = timedelta(days=1)
# The 29th of February may be 8 years away, the fifth Monday of a February 28 or 40.
_HORIZON_S = 60 * 366 * 86_400
_LAST_MS = 221_845_392_000_000  # the year 9000: datetime ends soon after
_WINDOWS_MS = tuple(3_600_000 * 8**power for power in range(8))  # an hour ... 239 years


class Slots(Protocol):
    """What has slots."""

    def after(self, at_ms: int) -> Iterator[int]:
        """Give the slots later than `at_ms`, the nearest first."""


class Every:
    """A fixed interval in ms, counted from 1970."""

    def __init__(self, period_ms: int) -> None:
        self.period_ms = period_ms

    def after(self, at_ms: int) -> Iterator[int]:
        """Give the slots later than `at_ms`."""
        slot = (at_ms // self.period_ms + 1) * self.period_ms
        while True:
            yield slot
            slot += self.period_ms


class CronSlots:
    """A line of cron in a zone. Raises OptionError."""

    def __init__(self, line: str, tz: str) -> None:
        self.cron = Cron(line)
        self.zone = zone(tz)
        if next(self.after(0), None) is None:
            raise OptionError(
                f"cron: {line!r} never comes; expected a day that some year has; correct its days"
            )

    def after(self, at_ms: int) -> Iterator[int]:
        """Give the slots later than `at_ms`; an end when there is none for sixty years."""
        if at_ms >= _LAST_MS:
            return iter(())
        start = max(0, at_ms // MINUTE_MS + 1) * 60
        walk = self._times_of_day if self.cron.by_the_clock else self._rhythm
        return walk(start)

    def local(self, at: int) -> datetime:
        """Give what the clocks show at `at`, in seconds since 1970."""
        return datetime.fromtimestamp(at, self.zone)

    def _rhythm(self, at: int) -> Iterator[int]:
        cron, end = self.cron, at + _HORIZON_S
        while at < end:
            local = self.local(at)
            if not cron.has_day(local.date()):
                at = self._forward(at, local, 1440 - local.hour * 60 - local.minute)
            elif local.hour not in cron.hours:
                at = self._forward(at, local, 60 - local.minute)
            else:
                if local.minute in cron.minutes:
                    yield at * 1000
                    end = at + _HORIZON_S
                at += 60

    def _forward(self, at: int, local: datetime, minutes: int) -> int:
        """Go on by so many minutes, or by one where the clocks change in between."""
        target = at + 60 * minutes
        return target if self.local(target).utcoffset() == local.utcoffset() else at + 60

    def _times_of_day(self, at: int) -> Iterator[int]:
        cron, last, end = self.cron, at - 1, at + _HORIZON_S
        # What the clocks skipped yesterday may be met today: where a whole day is skipped.
        day = self.local(at).date() - _DAY
        while last < end and day.year < 9999:
            if cron.has_day(day):
                for hour in cron.hours:
                    for minute in cron.minutes:
                        slot = self.instant(day, hour, minute)
                        if slot > last:
                            yield slot * 1000
                            last, end = slot, slot + _HORIZON_S
            elif _midnight(day) > end:
                return
            day += _DAY

    def instant(self, day: date, hour: int, minute: int) -> int:
        """Find when the clocks show a time first; or, where they skip it, the end of the gap."""
        wall = datetime(day.year, day.month, day.day, hour, minute, tzinfo=self.zone)
        at = int(wall.timestamp())
        if self.local(at).replace(tzinfo=None) == wall.replace(tzinfo=None):
            return at
        # In a gap, fold 0 reckons by the offset before it, fold 1 by that after it: the change lies
        # between the two, and offsets are whole minutes.
        early, late = int(wall.replace(fold=1).timestamp()) // 60, at // 60
        offset = self.local(at).utcoffset()
        while early + 1 < late:
            middle = (early + late) // 2
            if self.local(middle * 60).utcoffset() == offset:
                late = middle
            else:
                early = middle
        return late * 60


def _midnight(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


@lru_cache(maxsize=4096)
def slots_of(cron: str, tz: str, every_ms: int) -> Slots:
    """Give the slots of a line of cron in a zone, or of an interval. Raises OptionError."""
    return CronSlots(cron, tz) if cron else Every(every_ms)


def up_to(slots: Slots, after: int, until: int) -> Iterator[int]:
    """Give the slots in (after, until]."""
    return takewhile(lambda slot: slot <= until, slots.after(after))


def latest(slots: Slots, after: int, until: int, most: int) -> list[int]:
    """Give the last slots in (after, until], at most so many, without walking all of the way."""
    found: list[int] = []
    for window in _WINDOWS_MS:
        found = list(up_to(slots, max(after, until - window), until))
        if len(found) >= most or until - window <= after:
            break
    return found[-most:]
