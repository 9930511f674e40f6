"""Amounts of memory as people write them: the only place they are read. Inside jobd they are bytes."""

from __future__ import annotations

import math
import re

from jobd.core.errors import OptionError

_UNITS = {
    "B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4,
    "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4,
}  # fmt: skip
_BYTES = {name.lower(): amount for name, amount in _UNITS.items()}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")
_NAMES = {"kil": "KB", "meg": "MB", "gig": "GB", "ter": "TB"}


def size(value: object, *, what: str = "size") -> int:
    """Read a size such as '300MB' or a number of bytes. Raises OptionError."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    hint = ""
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        number, unit = match.groups()
        amount = _BYTES.get(unit.lower() or "b")
        if amount is not None and math.isfinite(found := float(number) * amount):
            return round(found)
        hint = "" if amount else _nearest(number, unit.lower())
    raise OptionError(f"{what}: {value!r}; expected a size such as '300MB', '1GiB' or bytes{hint}")


def size_words(amount: int) -> str:
    """Write bytes for people: 1234567 -> '1.23MB'. `size` reads it again."""
    for unit in ("TB", "GB", "MB", "KB"):
        if abs(count := amount / _UNITS[unit]) >= 1:
            return f"{count:.0f}{unit}" if abs(count) >= 100 else f"{count:.3g}{unit}"
    return f"{amount}B"


def _nearest(number: str, unit: str) -> str:
    """Say what '300M', '2Gi' or '5 gigabytes' was to be."""
    near = [name for name in _UNITS if name[:-1].lower() == unit]
    near += [name for start, name in _NAMES.items() if unit.startswith(start)]
    return f"; did you mean '{number}{near[0]}'?" if near else ""
