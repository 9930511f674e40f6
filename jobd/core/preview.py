"""The next runs of a schedule, for people: with a remark where the clocks change.

Used by `jobd schedules preview`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import NamedTuple

from jobd.core.slots import MINUTE_MS, CronSlots, Slots

_MINUTE = timedelta(minutes=1)


class Run(NamedTuple):
    """One slot: ms since 1970, what the clocks of its zone show, and what is odd about it."""

    slot: int
    local: datetime
    remark: str


def preview(slots: Slots, after: int, count: int) -> list[Run]:
    """Give the next runs later than `after` (ms since 1970)."""
    runs: list[Run] = []
    before = after
    for slot in islice(slots.after(after), count):
        try:
            runs.append(Run(slot, local_time(slots, slot), _remark(slots, before, slot)))
        except (ValueError, OverflowError):  # beyond the calendar: an interval may be any
            break
        before = slot
    return runs


def local_time(slots: Slots, slot: int) -> datetime:
    """Give an instant in the zone of a schedule; in UTC for an interval."""
    zone = slots.zone if isinstance(slots, CronSlots) else UTC
    return datetime.fromtimestamp(slot / 1000, zone)


def _remark(slots: Slots, before: int, slot: int) -> str:
    if not isinstance(slots, CronSlots):
        return ""
    local, cron = slots.local(slot // 1000), slots.cron
    twice = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
    if cron.by_the_clock:
        if local.hour not in cron.hours or local.minute not in cron.minutes:
            return f"the clocks skip {_skipped(slots, slot)}: it runs at the end of the gap"
        return "the clocks show this twice: it runs the first time" if twice else ""
    if twice:
        return f"the clocks show this twice: the {'second' if local.fold else 'first'} time"
    change = _change(slots, before, slot)
    if change is not None and (lost := _lost(slots, change)):
        return f"the clocks went forward: no {lost}"
    return ""


def _skipped(slots: CronSlots, slot: int) -> str:
    """Name the time that was to be met, and was in the gap that ends at this slot."""
    change = slots.local(slot // 1000).replace(tzinfo=None)
    wall = slots.local(slot // 1000 - 60).replace(tzinfo=None) + _MINUTE
    while wall < change:
        if wall.hour in slots.cron.hours and wall.minute in slots.cron.minutes:
            return f"{wall:%H:%M}"
        wall += _MINUTE
    return "a time"


def _change(slots: CronSlots, after: int, until: int) -> int | None:
    """Find the minute (since 1970) in (after, until] with which the clocks went forward, if any."""
    early, late = after // MINUTE_MS, until // MINUTE_MS
    if _offset(slots, early) >= _offset(slots, late):
        return None
    while early + 1 < late:
        middle = (early + late) // 2
        if _offset(slots, middle) < _offset(slots, late):
            early = middle
        else:
            late = middle
    return late


def _offset(slots: CronSlots, minute: int) -> timedelta:
    return slots.local(minute * 60).utcoffset() or timedelta()


def _lost(slots: CronSlots, change: int) -> str:
    """Name the first and the last time that the clocks skipped and that would have been met."""
    wall = slots.local(change * 60 - 60).replace(tzinfo=None) + _MINUTE
    end = slots.local(change * 60).replace(tzinfo=None)
    lost = []
    while wall < end:
        met = wall.hour in slots.cron.hours and wall.minute in slots.cron.minutes
        if met and slots.cron.has_day(wall.date()):
            lost.append(f"{wall:%H:%M}")
        wall += _MINUTE
    return " to ".join(dict.fromkeys((lost[0], lost[-1]))) if lost else ""
