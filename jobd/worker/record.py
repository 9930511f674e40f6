"""What a claimed job has gone through, read from its record, and how the next line is written."""

from __future__ import annotations

import traceback
from typing import Any

import msgspec

from jobd.core.options import RunOptions, read_run_options
from jobd.core.verdict import Counters

MAX_HISTORY = 20
MAX_ERROR = 1000
MAX_TRACEBACK = 4000

_NOTHING_HAPPENED = Counters()
_NOTHING_SAID = RunOptions()


def counters_of(more: dict[bytes, bytes]) -> Counters:
    """Read the counters of a record."""
    if not more:
        return _NOTHING_HAPPENED
    names = (b"failed", b"timeouts", b"crashes", b"lost", b"interrupted")
    return Counters(**{name.decode(): int(more.get(name, 0)) for name in names})


def options_of(more: dict[bytes, bytes]) -> RunOptions:
    """Read what the call said about its run. Raises OptionError, msgspec.DecodeError."""
    if b"options" not in more:
        return _NOTHING_SAID
    return read_run_options(msgspec.json.decode(more[b"options"]), what="the job's options")


def history_of(more: dict[bytes, bytes]) -> list[dict[str, Any]]:
    """Read what happened before: a record for each run that did not end well."""
    if b"history" not in more:
        return []
    return msgspec.json.decode(more[b"history"], type=list[dict[str, Any]])


def write_history(history: list[dict[str, Any]]) -> bytes:
    """Write the last lines of a history; it never grows without bound."""
    return msgspec.json.encode(history[-MAX_HISTORY:])


def describe(error: Exception) -> tuple[str, str]:
    """Put an exception in a line, and its traceback in a bounded text. Never fails itself."""
    try:
        line = f"{type(error).__name__}: {error}"
        trace = "".join(traceback.format_exception(error, limit=-30))
    except Exception as second:  # noqa: BLE001  user code: an exception whose __str__ raises
        line = f"{type(error).__name__} (its text raised {type(second).__name__})"
        trace = "".join(traceback.format_tb(error.__traceback__, limit=-30))
    return line[:MAX_ERROR], trace[-MAX_TRACEBACK:]
