"""What a rule's value is measured in: how a threshold is read from a file, and a value said to people.

Each `read` raises OptionError. Used by jobd.core.alerts.kinds.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from jobd.core.config_values import LEAST_MEMORY
from jobd.core.durations import seconds, words
from jobd.core.errors import OptionError
from jobd.core.sizes import size, size_words


class Unit(msgspec.Struct, frozen=True):
    """One unit. `expected` names what a threshold may be, for people."""

    read: Callable[[object], float]
    say: Callable[[float], str]
    expected: str


def count(value: object) -> float:
    """Read how many."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10**15:
        return float(value)
    raise OptionError(f"{value!r}; expected a whole number, not below zero")


def share(value: object) -> float:
    """Read a part of a whole: 0.2 or '20%'."""
    found: float | None = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        found = float(value)
    elif isinstance(value, str) and value.strip().endswith("%"):
        found = _number(value.strip()[:-1])
        found = None if found is None else found / 100
    if found is not None and 0 <= found <= 1:
        return found
    raise OptionError(f"{value!r}; expected a share from 0 to 1, as in 0.2, or '20%'")


def span(value: object) -> float:
    """Read a duration."""
    return _plainly(seconds, value)


def memory(value: object) -> float:
    """Read an amount of memory."""
    found = _plainly(size, value)
    if found >= LEAST_MEMORY:
        return found
    raise OptionError(f"{value!r}; expected at least 1MB; a plain number is bytes")


def share_or_memory(value: object) -> float:
    """Read a share (up to 1) or an amount of memory (from 1MB on): the number tells which it is."""
    wants_share = isinstance(value, float) or (isinstance(value, str) and "%" in value)
    if wants_share or value in (0, 1):
        return share(value)
    try:
        return memory(value)
    except OptionError as error:
        raise OptionError(
            f"{value!r}; expected a share such as '80%', or a size such as '2GB'"
        ) from error


def _plainly(read: Callable[..., float], value: object) -> float:
    """Read a value whose problem begins with its place, which the finding names already."""
    try:
        return read(value, what="")
    except OptionError as error:
        raise OptionError(str(error).removeprefix(": ")) from error


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _percent(value: float) -> str:
    return f"{value * 100:.3g}%"


COUNT = Unit(count, lambda value: f"{value:,.0f}", "a whole number")
SPAN = Unit(span, words, "a duration such as '5m'")
SHARE = Unit(share, _percent, "a share such as 0.2 or '20%'")
MEMORY = Unit(memory, lambda value: size_words(round(value)), "a size such as '300MB'")
PART_OR_MEMORY = Unit(
    share_or_memory,
    lambda value: _percent(value) if value <= 1 else size_words(round(value)),
    "a share such as '80%', or a size such as '2GB'",
)
# What is so or not: there is nothing to set.
YES = Unit(count, lambda value: "yes" if value else "no", "nothing")
