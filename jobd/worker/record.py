"""What a claimed job has gone through, read from its record, and how the next line is written."""

from __future__ import annotations

import traceback
from typing import Any, NamedTuple

import msgspec

from jobd.core.options import RunOptions, read_run_options
from jobd.core.verdict import Counters

MAX_HISTORY = 20
MAX_ERROR = 1000
MAX_TRACEBACK = 4000

_COUNTERS = ("failed", "timeouts", "crashes", "lost", "interrupted")
_NOTHING_SAID = RunOptions()


class Past(NamedTuple):
    """What a record says beyond the plain: a job that ran before, or that asked for something."""

    counters: Counters
    history: list[dict[str, Any]]
    options: RunOptions
    parked: int | None
    """When it was first set aside because no worker knew its task; ms since 1970."""
    timed_out: bool
    """Its last run was killed for its timeout, and nobody has judged that yet."""


def read_past(more: dict[bytes, bytes]) -> Past:
    """Read the whole record of a claimed job.

    Raises ValueError, TypeError, OptionError or msgspec.DecodeError for what jobd did not write.
    """
    int(more.get(b"due", 0))
    parked = more.get(b"parked")
    return Past(
        counters=Counters(**{name: int(more.get(name.encode(), 0)) for name in _COUNTERS}),
        history=_history(more.get(b"history")),
        options=_options(more.get(b"options")),
        parked=None if parked is None else int(parked),
        timed_out=more.get(b"ended") == b"timeouts",
    )


def _options(raw: bytes | None) -> RunOptions:
    if raw is None:
        return _NOTHING_SAID
    return read_run_options(msgspec.json.decode(raw, type=dict[str, Any]), what="the job's options")


def _history(raw: bytes | None) -> list[dict[str, Any]]:
    return [] if raw is None else msgspec.json.decode(raw, type=list[dict[str, Any]])


def write_history(history: list[dict[str, Any]]) -> bytes:
    """Write the last lines of a history; it never grows without bound."""
    return msgspec.json.encode(history[-MAX_HISTORY:])


def describe(error: BaseException) -> tuple[str, str]:
    """Put an exception in a line, and its traceback in a bounded text. Never fails itself."""
    try:
        line = f"{type(error).__name__}: {error}"
        trace = "".join(traceback.format_exception(error, limit=-30))
    except Exception as second:  # noqa: BLE001  user code: an exception whose __str__ raises
        line = f"{type(error).__name__} (its text raised {type(second).__name__})"
        trace = "".join(traceback.format_tb(error.__traceback__, limit=-30))
    return line[:MAX_ERROR], trace[-MAX_TRACEBACK:]
