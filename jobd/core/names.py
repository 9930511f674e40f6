"""Names of tasks, queues and jobs, and what a bad one is told."""

from __future__ import annotations

import re

from jobd.core.errors import OptionError

_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_RAW_NAME = re.compile(_NAME.pattern.encode())


def is_name(raw: bytes) -> bool:
    """Tell whether bytes found in Redis are a name."""
    return _RAW_NAME.fullmatch(raw) is not None


def check_name(value: object, *, what: str) -> str:
    """Return `value` if it is a name; raise OptionError saying what a name is otherwise."""
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    shown = repr(value) if len(repr(value)) <= 80 else repr(value)[:77] + "..."
    raise OptionError(
        f"{what}: {shown}; expected 1 to 128 characters of A-Z a-z 0-9 _ . : -; "
        "choose such a name and keep other data in the arguments or `meta`"
    )
