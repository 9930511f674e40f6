"""Names of tasks, queues and jobs, and what a bad one is told.

`.` and `..` are none: in a path, as the dashboard makes them of names, they lead to another place.
"""

from __future__ import annotations

import re

from jobd.core.errors import OptionError

_NAME = re.compile(r"(?!\.\.?\Z)[A-Za-z0-9_.:-]{1,128}")
_RAW_NAME = re.compile(_NAME.pattern.encode())

# Tasks that jobd itself adds: see jobd.client.hooks.
RESERVED = "jobd."
_TASK = re.compile(rf"(?!{re.escape(RESERVED)}){_NAME.pattern}")

DOTS = (".", "..")
NOT_DOTS = ", and neither . nor .."


def is_name(raw: bytes) -> bool:
    """Tell whether bytes found in Redis are a name."""
    return _RAW_NAME.fullmatch(raw) is not None


def check_name(value: object, *, what: str) -> str:
    """Return `value` if it is a name; raise OptionError saying what a name is otherwise."""
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    shown = repr(value) if len(repr(value)) <= 80 else repr(value)[:77] + "..."
    raise OptionError(
        f"{what}: {shown}; expected 1 to 128 characters of A-Z a-z 0-9 _ . : -"
        f"{NOT_DOTS if value in DOTS else ''}; "
        "choose such a name and keep other data in the arguments or `meta`"
    )


def check_task(value: object, *, what: str) -> str:
    """Return `value` if it may be the name of an application's task; raise OptionError otherwise."""
    if isinstance(value, str) and _TASK.fullmatch(value):
        return value
    name = check_name(value, what=what)
    raise OptionError(
        f"{what}: {name!r}; expected none that begins with {RESERVED!r}: those are jobd's own, and no "
        "worker runs what anybody else adds under one; choose another"
    )
