"""Simple lines of cron in words: `0 9 * * 1-5` is "Monday to Friday at 09:00".

What is not simple has none: words that are nearly right are worse than the line itself. Pure; shown
by the dashboard, beside the line.
"""

from __future__ import annotations

import re
from functools import lru_cache

from jobd.core.cron import MACROS, MONTHS, Cron
from jobd.core.errors import OptionError

_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
_STEP = re.compile(r"\*/(\d+)")
_FEW = 4


@lru_cache(maxsize=4096)
def cron_words(line: str) -> str | None:
    """Say a line in words; None for what is not simple, and for what is no line."""
    try:
        Cron(line)
    except OptionError:
        return None
    text = " ".join(line.split())
    minute, hour, *days = MACROS.get(text.lower(), text).upper().split()
    time, when = _time(minute, hour), _days(*days)
    if time is None or when is None:
        return None
    if time.startswith("at "):
        return f"{when or 'every day'} {time}"
    return f"{time}, {when}" if when else time


def _time(minute: str, hour: str) -> str | None:
    """Say at which times of a day; those that begin with `at` are times of the clock."""
    if step := _step(minute, 60):
        return _every(step, "minute") if hour == "*" else None
    if not minute.isdecimal():
        return None
    past = "" if int(minute) == 0 else f" at :{int(minute):02}"
    if step := _step(hour, 24):
        return _every(step, "hour") + past
    hours = hour.split(",")
    if not all(each.isdecimal() for each in hours) or len(hours) > _FEW:
        return None
    return "at " + _and([f"{each:02}:{int(minute):02}" for each in sorted(set(map(int, hours)))])


def _step(field: str, whole: int) -> int | None:
    """Give the step of a field that is met all along, and not only from one hour or day to the next."""
    if field == "*":
        return 1
    found = _STEP.fullmatch(field)
    return int(found[1]) if found and int(found[1]) < whole and whole % int(found[1]) == 0 else None


def _every(step: int, unit: str) -> str:
    return f"every {unit}" if step == 1 else f"every {step} {unit}s"


def _days(day: str, month: str, weekday: str) -> str | None:
    """Say on which days; '' for every one."""
    if (day, month) == ("*", "*"):
        return "" if weekday == "*" else _weekdays(weekday)
    if weekday != "*" or not (day.isdecimal() or day == "L"):
        return None
    named = "the last day" if day == "L" else f"the {_ordinal(int(day))}"
    if month == "*":
        return f"on {named} of each month"
    number = _number(month, MONTHS, 1)
    return None if number is None else f"on {named} of {_MONTHS[number - 1]}"


def _weekdays(field: str) -> str | None:
    """Say which days of the week."""
    if "-" in field:
        ends = [_number(part, _SHORT, 0) for part in field.split("-")]
        if len(ends) != 2 or ends[0] is None or ends[1] is None:
            return None
        return f"{_DAYS[ends[0] % 7]} to {_DAYS[ends[1] % 7]}"
    days = [_number(part, _SHORT, 0) for part in field.split(",")]
    if len(days) > _FEW or None in days:
        return None
    names = [f"{_DAYS[each % 7]}s" for each in days if each is not None]
    return _and(list(dict.fromkeys(names)))


_SHORT = tuple(day[:3].upper() for day in _DAYS)


def _number(text: str, names: tuple[str, ...], first: int) -> int | None:
    if text in names:
        return names.index(text) + first
    return int(text) if text.isdecimal() else None


def _ordinal(number: int) -> str:
    if 10 < number % 100 < 14:
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def _and(parts: list[str]) -> str:
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last
