"""Durations as people write them: the only place they are read.

Everything that accepts a duration accepts `"30s"`, `"1h30m"`, a number of seconds or a `timedelta`.
Inside jobd a span is a float of seconds on a host and an int of milliseconds in Redis.
"""

from __future__ import annotations

import math
import re
from datetime import timedelta

from jobd.core.errors import OptionError

Duration = str | int | float | timedelta

_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")
_WHOLE = re.compile(rf"(?:{_PART.pattern}\s*)+")

LONGEST = 100 * 365 * 86400.0


def seconds(value: object, *, what: str = "duration") -> float:
    """Read a duration as seconds, >= 0.

    Raises OptionError naming `what` for anything that is not a duration.
    """
    found = _read(value)
    if found is None or math.isnan(found) or found < 0:
        raise OptionError(
            f"{what}: {value!r}; expected a duration such as '30s', '5m', '1h30m', "
            "a number of seconds or a timedelta, not below zero"
        )
    if found > LONGEST:
        raise OptionError(f"{what}: {value!r}; expected at most 100 years")
    return found


def milliseconds(value: object, *, what: str = "duration") -> int:
    """Read a duration as whole milliseconds, rounded to the nearest."""
    return round(seconds(value, what=what) * 1000)


def words(span: float) -> str:
    """Write a span of seconds for people: 0.25 -> '250ms', 5400 -> '1h30m'."""
    if span < 1:
        return f"{span * 1000:.0f}ms"
    if span < 60:
        return f"{span:.3g}s"
    rest, parts = round(span), []
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, int(_UNIT_SECONDS[unit]))
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2])


def _read(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:  # a whole number may be larger than any float
            return math.inf if value > 0 else -math.inf
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str):
        text = value.strip()
        if _WHOLE.fullmatch(text):
            return sum(float(n) * _UNIT_SECONDS[unit] for n, unit in _PART.findall(text))
    return None
