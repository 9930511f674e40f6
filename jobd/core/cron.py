"""Lines of cron: five fields, read and checked. What days, hours and minutes they name.

    minute 0-59   hour 0-23   day of month 1-31, L, LW   month 1-12, JAN-DEC   day of week 0-7, SUN-SAT

Each field is `*`, a number, a range `1-5`, a step `*/15` or `10-50/10`, or a list of these; a day of
the week may also be `MON#2` (the second) or `5L` (the last Friday). Where both day fields are given,
one of them is enough, as in every cron; where either begins with a star, both must be met.

cronsim reads the fields and knows the days. Which instants these are is said by jobd.core.slots.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from jobd.core.errors import OptionError
from jobd.core.suggest import nearest

if TYPE_CHECKING:
    from cronsim import CronSim

MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
# Of each field: its name, its range, the words it knows, and what else it takes.
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...], str], ...] = (
    ("minute", 0, 59, (), ""),
    ("hour", 0, 23, (), ""),
    ("day of month", 1, 31, ("L", "LW"), ", L or LW"),
    ("month", 1, 12, MONTHS, " or JAN to DEC"),
    ("day of week", 0, 7, _DAYS, ", SUN to SAT, MON#2 or 5L"),
)
_LONGEST = 200
_AS_IN = "as in '0 9 * * *' for every day at nine"
_ANY_DAY = datetime(2024, 1, 1, tzinfo=UTC)


class Cron:
    """One checked line. Raises OptionError for what is none, naming the field and its range."""

    def __init__(self, line: object) -> None:
        self.line = _fields_of(line)
        parts = MACROS.get(self.line, self.line).upper().split()
        _check(self.line, parts)
        self._sim = sim = _simulation(" ".join(parts))
        self.minutes = sorted(sim.minutes)
        self.hours = sorted(sim.hours)
        self.by_the_clock = not parts[0].startswith("*") and not parts[1].startswith("*")
        """Whether it names times of the day, and not a rhythm: then each is met once a day."""
        self.has_day = lru_cache(maxsize=64)(self._has_day)
        """Says whether a date is one of its days."""

    def _has_day(self, day: date) -> bool:
        return day.month in self._sim.months and self._sim.match_day(day)


def _fields_of(line: object) -> str:
    if not isinstance(line, str) or not line.strip() or len(line) > _LONGEST:
        raise OptionError(f"cron: {line!r:.80}; expected five fields, {_AS_IN}")
    text = " ".join(line.split())
    if not text.startswith("@"):
        return text
    if text.lower() in MACROS:
        return text.lower()
    if text.lower() == "@reboot":
        raise OptionError(
            "cron: '@reboot'; expected a time; enqueue a job where your program starts instead"
        )
    raise OptionError(
        f"cron: {text!r}; expected five fields or one of {', '.join(MACROS)}"
        + nearest(text.lower(), MACROS)
    )


def _check(line: str, parts: list[str]) -> None:
    if len(parts) == 6:
        raise OptionError(
            f"cron: {line!r} has six fields; expected five: minute, hour, day of month, month, day "
            "of week; for less than a minute use every='10s'"
        )
    if len(parts) != 5:
        raise OptionError(
            f"cron: {line!r} has {len(parts)} field{'s' * (len(parts) != 1)}; expected five: "
            f"minute, hour, day of month, month, day of week, {_AS_IN}"
        )
    for place, part in enumerate(parts):
        if not _is_read(["*"] * place + [part] + ["*"] * (4 - place)):
            raise OptionError(_wrong(line, parts, place))
    if not _is_read(parts):
        raise OptionError(
            f"cron: {line!r} names a day that no such month has; expected one that comes"
        )


def _is_read(parts: list[str]) -> bool:
    try:
        _simulation(" ".join(parts))
    except ValueError:
        return False
    return True


def _simulation(text: str) -> CronSim:
    """Read five fields. Raises ValueError."""
    from cronsim import CronSim, CronSimError  # noqa: PLC0415  with the first schedule, not before

    try:
        return CronSim(text, _ANY_DAY)
    except (CronSimError, AssertionError, TypeError) as error:
        raise ValueError(str(error)) from error


def _wrong(line: str, parts: list[str], place: int) -> str:
    name, low, high, words, more = _FIELDS[place]
    return (
        f"cron: {line!r}: {name} {parts[place]!r}; expected {low} to {high}{more}, "
        f"*, a range 1-5, a step */2 or a list 1,2{_nearest_line(parts, place, low, high, words)}"
    )


def _nearest_line(parts: list[str], place: int, low: int, high: int, words: tuple[str, ...]) -> str:
    """Give the line as it was probably meant: minute and hour the other way round, or nearer by."""
    part = parts[place]
    if not part.isdecimal():
        return nearest(part, words)
    swapped = [parts[1], parts[0], *parts[2:]]
    if place < 2 and int(part) > high + 1 and _is_read(swapped):
        return f"; did you mean {' '.join(swapped)!r}?"
    # 24 o'clock and the sixtieth minute are the first of the next.
    value = low if int(part) == high + 1 and low == 0 else min(max(int(part), low), high)
    better = [*parts[:place], str(value), *parts[place + 1 :]]
    return f"; did you mean {' '.join(better)!r}?" if _is_read(better) else ""
