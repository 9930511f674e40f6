"""prctl(2): what the kernel keeps of a process and Python has no call for. Linux only.

Everything raises OSError where the kernel refuses.
"""

from __future__ import annotations

import ctypes
import os

SUBREAPER = 36
"""Whether orphans below this process become its children."""
DEATH_SIGNAL = 1
"""The signal that comes when the parent ends; 0 for none."""
DUMPABLE = 4
TIMER_SLACK = 29
"""Nanoseconds by which a wait may be late."""
NO_NEW_PRIVILEGES = 38

# Those that give their value through a pointer, and those that return it, by what sets them.
_POINTED_AT = {SUBREAPER: 37, DEATH_SIGNAL: 2}
_RETURNED = {DUMPABLE: 3, TIMER_SLACK: 30, NO_NEW_PRIVILEGES: 39}

_prctl = ctypes.CDLL(None, use_errno=True).prctl


def write(setting: int, value: int) -> None:
    """Give this process (TIMER_SLACK: this thread) a setting."""
    _call(setting, value)


def read(setting: int) -> int:
    """Give the value of a setting."""
    if setting in _RETURNED:
        return _call(_RETURNED[setting], 0)
    found = ctypes.c_int()
    _call(_POINTED_AT[setting], ctypes.addressof(found))
    return found.value


def _call(option: int, value: int) -> int:
    answer = int(_prctl(option, ctypes.c_ulong(value), 0, 0, 0))
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")
    return answer
