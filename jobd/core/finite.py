"""Numbers that JSON has no word for: NaN and infinity, which an encoder would write as null."""

from __future__ import annotations

import math


def has_nan(value: object) -> bool:
    """Whether there is a NaN or an infinity anywhere in plain data."""
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return any(has_nan(item) for item in value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return any(has_nan(item) for item in value)
    return False
