"""What bounds a whole queue over all workers and hosts: its rate limit, and how many jobs at once.

Both belong to the queue, in code or in jobd.toml (which goes before code). Workers say them when they
join, and the script that claims keeps them; a worker that joins with others changes them for all.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from jobd.core.durations import seconds, words
from jobd.core.errors import OptionError
from jobd.core.suggest import nearest, one_of

LIMIT_OPTIONS = ("rate_limit", "max_active")

MOST = 100_000_000
SHORTEST_WINDOW = 0.1
LONGEST_WINDOW = 31 * 86400.0
_SHAPE = "{'max': 100, 'per': '1m'}"
_RATE_FIELDS = ("max", "per")


class RateLimit(msgspec.Struct, frozen=True):
    """So many starts in any window of `per` seconds. 0 starts: no limit."""

    max: int
    per: float


class LimitOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What one level says. None: not said here."""

    rate_limit: RateLimit | None = None
    max_active: int | None = None


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for a queue, with every question answered. 0 is no limit."""

    rate_max: int = 0
    rate_ms: int = 0
    max_active: int = 0


_NO_RATE = RateLimit(0, 0.0)


def read_limits(given: Mapping[str, object], *, what: str) -> LimitOptions:
    """Read limits from keywords or TOML. Raises OptionError; unknown names are the caller's."""
    rate, most = None, None
    if "rate_limit" in given:
        rate = _rate(given["rate_limit"], f"{what}: rate_limit")
    if "max_active" in given:
        most = _count(given["max_active"], 0, f"{what}: max_active", "; 0 is no limit")
    return LimitOptions(rate_limit=rate, max_active=most)


def resolve_limits(*levels: LimitOptions) -> Limits:
    """Merge levels, the weakest first."""
    rate, most = _NO_RATE, 0
    for level in levels:
        rate = rate if level.rate_limit is None else level.rate_limit
        most = most if level.max_active is None else level.max_active
    return Limits(rate_max=rate.max, rate_ms=round(rate.per * 1000), max_active=most)


def _rate(value: object, what: str) -> RateLimit:
    if value is False:
        return _NO_RATE
    if not isinstance(value, dict):
        raise OptionError(f"{what}: {value!r}; expected {_SHAPE}, or false for none")
    for name in value:
        if name not in _RATE_FIELDS:
            raise OptionError(
                f"{what}.{name}: unknown; expected {one_of(_RATE_FIELDS)}"
                + nearest(str(name), _RATE_FIELDS)
            )
    for name in _RATE_FIELDS:
        if name not in value:
            raise OptionError(f"{what}.{name}: not set; expected both, as in {_SHAPE}")
    per = seconds(value["per"], what=f"{what}.per")
    if not SHORTEST_WINDOW <= per <= LONGEST_WINDOW:
        raise OptionError(
            f"{what}.per: {value['per']!r}; expected {words(SHORTEST_WINDOW)} to "
            f"{words(LONGEST_WINDOW)}"
        )
    hint = "; pause the queue to let nothing start, or false for no limit"
    return RateLimit(_count(value["max"], 1, f"{what}.max", hint), per)


def _count(value: object, least: int, what: str, hint: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= MOST:
        return value
    raise OptionError(f"{what}: {value!r}; expected a whole number from {least} to {MOST}{hint}")
