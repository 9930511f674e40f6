"""Schedules: all of them, and one with what it adds, its next runs and what became of its last ones.

When a schedule fires is reckoned here from its record, as each host does (jobd.core.slots): no daemon is
asked. A next run that is over shows that nobody fires it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from jobd.broker.outcomes import Outcome, outcomes
from jobd.broker.schedule_records import ScheduleInfo
from jobd.broker.store import store_ms
from jobd.core.cron_words import cron_words
from jobd.core.durations import words
from jobd.core.preview import Run, preview
from jobd.core.schedule import job_id
from jobd.core.slots import latest, slots_of
from jobd.web.api import shown
from jobd.web.api.house import House
from jobd.web.pages.filters import dom_id
from jobd.web.pages.page import Ask, Model, Page, watched

MOST_SHOWN = 300
"""Schedules on one page; of the queues' there are lists of their own."""
OVERDUE_AFTER = 15_000
"""What is due for so long, in ms, is not late by a moment: hosts fire within a second."""
_SOON = 5
_NEXT = 10
_RECENT = 20
_LATEST = 221_845_392_000_000  # the year 9000


class Row(NamedTuple):
    """One schedule, and what is to be known beside its record. Instants are ms since 1970.

    `trouble` says in words why it does not fire, or not on time. `upcoming` are its next runs; none of
    what is paused, and of what cannot be reckoned here.
    """

    id: str
    info: ScheduleInfo
    when: str
    in_words: str | None
    next_at: int | None
    is_overdue: bool
    trouble: str | None
    upcoming: tuple[int, ...]
    last: Outcome | None


class Past(NamedTuple):
    """A slot of the past of which the job is still kept."""

    slot: int
    job: str
    outcome: Outcome


def read(house: House, ask: Ask) -> Model:
    """Read all of them; those of one queue, if one is asked for. Raises NoSuchQueue."""
    queue = ask.query.get("queue")
    if queue is not None:
        house.known(queue)
    infos, now = house.browser.schedules(queue), store_ms(house.client)
    of_all = infos if len(infos) <= MOST_SHOWN else _worst_first(infos, now)[:MOST_SHOWN]
    lasts = outcomes(house.client, house.namespace, [_last_of(info) for info in of_all])
    rows = [_row(info, last, now) for info, last in zip(of_all, lasts, strict=True)]
    return {
        "schedules": rows,
        "in_all": len(infos),
        "paused": sum(info.paused for info in infos),
        "troubled": sum(_trouble(info, now) is not None for info in infos),
        "queue": queue,
        "queues": house.views().queues(),
    }


def read_one(house: House, ask: Ask) -> Model:
    """Read one. Raises NoSuchSchedule, OptionError."""
    info = shown.schedule(house, ask.path["queue"], ask.path["schedule"])
    now = store_ms(house.client)
    [last] = outcomes(house.client, house.namespace, [_last_of(info)])
    known = info.slots() is not None
    return {
        "row": _row(info, last, now),
        "next_runs": _next_runs(*_timing(info), _after(info, now)) if known else (),
        "recent": _recent(house, info, now) if known else [],
        "command": shlex.join(["jobd", "schedules", "preview", info.name, "--queue", info.queue]),
    }


def _row(info: ScheduleInfo, last: Outcome | None, now: int) -> Row:
    return Row(
        id=dom_id("schedule", info.queue, info.name),
        info=info,
        when=info.cron or (f"every {words(info.every)}" if info.every else "?"),
        in_words=cron_words(info.cron) if info.cron else None,
        next_at=None if info.paused else info.next_at,
        is_overdue=_is_overdue(info, now),
        trouble=_trouble(info, now),
        upcoming=() if info.paused else _upcoming(info, now),
        last=last,
    )


def _trouble(info: ScheduleInfo, now: int) -> str | None:
    if info.paused:
        return None
    if info.is_forsaken(now):
        return "declared by no host for ten minutes: it does not fire"
    if info.slots() is None:
        return "its time or its zone is not known on this host"
    if _is_overdue(info, now):
        return "overdue: no daemon fires it; is one running that reaches this Redis?"
    return None


def _is_overdue(info: ScheduleInfo, now: int) -> bool:
    return not info.paused and info.next_at is not None and info.next_at < now - OVERDUE_AFTER


def _worst_first(infos: Iterable[ScheduleInfo], now: int) -> list[ScheduleInfo]:
    """Put those in trouble before the others."""
    return sorted(infos, key=lambda info: _trouble(info, now) is None)


def _last_of(info: ScheduleInfo) -> tuple[str, str]:
    return info.queue, info.last_job or ""


def _after(info: ScheduleInfo, now: int) -> int:
    """Give the instant after which its next runs are looked for: as recorded, where that is to come."""
    recorded = info.next_at
    return now if recorded is None or not now < recorded < _LATEST else recorded - 1


def _timing(info: ScheduleInfo) -> tuple[str, str, int]:
    return info.cron or "", info.tz, round((info.every or 0) * 1000)


def _upcoming(info: ScheduleInfo, now: int) -> tuple[int, ...]:
    return () if info.slots() is None else _next_slots(*_timing(info), _after(info, now))


# What follows is remembered: a line of cron may take a tenth of a second, and moves on when it fires.


@lru_cache(maxsize=4096)
def _next_slots(cron: str, tz: str, every_ms: int, after: int) -> tuple[int, ...]:
    return tuple(islice(slots_of(cron, tz, every_ms).after(after), _SOON))


@lru_cache(maxsize=256)
def _next_runs(cron: str, tz: str, every_ms: int, after: int) -> tuple[Run, ...]:
    try:
        return tuple(preview(slots_of(cron, tz, every_ms), after, _NEXT))
    except (ValueError, OverflowError):
        return ()  # a stranger's interval, of more years than there are


@lru_cache(maxsize=256)
def _last_slots(cron: str, tz: str, every_ms: int, until: int) -> tuple[int, ...]:
    return tuple(latest(slots_of(cron, tz, every_ms), 0, until, _RECENT))[::-1]


def _recent(house: House, info: ScheduleInfo, now: int) -> list[Past]:
    """Give those of the last slots whose jobs are still kept, the newest first."""
    if info.last_slot is None or not 0 < info.last_slot <= now:
        return []
    past = _last_slots(*_timing(info), info.last_slot)
    jobs = [(info.queue, job_id(info.name, slot)) for slot in past]
    found = outcomes(house.client, house.namespace, jobs)
    return [
        Past(slot, job, outcome)
        for slot, (_, job), outcome in zip(past, jobs, found, strict=True)
        if outcome is not None
    ]


_ONE = "/queues/{queue}/schedules/{schedule}"
PAGES = (
    watched(
        Page("/schedules", "schedules", "Schedules", "schedules.html", read, "schedules"), "queue"
    ),
    watched(Page(_ONE, "schedule", "{schedule}", "schedule.html", read_one, "schedules")),
)
