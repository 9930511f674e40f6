"""How many worker processes serve a queue: a fixed number, or as many as its work needs.

Invariant: min <= max in what `read_processes` gives; 0 serves the queue elsewhere. Read by
jobd.core.config; the supervisor keeps between the two.
"""

from __future__ import annotations

import msgspec

from jobd.core.durations import seconds
from jobd.core.errors import OptionError
from jobd.core.suggest import nearest, one_of

MOST_PROCESSES = 1000
_FIELDS = ("min", "max", "drain_within")
_SHAPE = "{ min = 1, max = 4 }"
_ELSEWHERE = "to serve the queue elsewhere only, write processes = 0"


class Processes(msgspec.Struct, frozen=True, kw_only=True):
    """Between `min` and `max`, so that due work is done `drain_within` seconds."""

    min: int = 1
    max: int = 1
    drain_within: float = 60.0

    @property
    def fixed(self) -> bool:
        """Say whether the number is given, and no load changes it."""
        return self.min == self.max


def exactly(count: int) -> Processes:
    """Make the pool of a fixed number."""
    return Processes(min=count, max=count)


def read_processes(value: object) -> Processes:
    """Read `4`, or `{ min = 1, max = 4, drain_within = "60s" }`. Raises OptionError."""
    if isinstance(value, dict):
        return _read_table(value)
    return exactly(_count(value, "processes", 0, f", or {_SHAPE}"))


def _read_table(table: dict[object, object]) -> Processes:
    for name in table:
        if name not in _FIELDS:
            expected = one_of(_FIELDS)
            raise OptionError(
                f"processes.{name}: unknown; expected {expected}{nearest(str(name), _FIELDS)}"
            )
    if "max" not in table:
        raise OptionError(f"processes.max: not set; expected it, as in {_SHAPE}")
    most = _count(table["max"], "processes.max", 1, f"; {_ELSEWHERE}")
    least = _count(table.get("min", 1), "processes.min", 1, f"; {_ELSEWHERE}")
    if least > most:
        raise OptionError(f"processes.min: {least}; expected at most max, which is {most}")
    within = seconds(table.get("drain_within", 60.0), what="processes.drain_within")
    if within < 1.0:
        raise OptionError(
            f"processes.drain_within: {table['drain_within']!r}; expected at least 1s"
        )
    return Processes(min=least, max=most, drain_within=within)


def _count(value: object, what: str, least: int, hint: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= MOST_PROCESSES:
        return value
    raise OptionError(
        f"{what}: {value!r}; expected a whole number from {least} to {MOST_PROCESSES}{hint}"
    )
