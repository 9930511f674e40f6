"""What a claimed job has gone through, read from its record, and how the next line is written."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import msgspec

from jobd.core.errors import OptionError
from jobd.core.labels import labels_of
from jobd.core.options import NOTHING_SAID, RunOptions, read_run_options
from jobd.core.states import PARKED
from jobd.core.verdict import Counters

MAX_HISTORY = 20
# A keeper appends its notes up to 64 KiB (release.lua): there is always room for some.
MAX_HISTORY_BYTES = 32 * 1024
MAX_ERROR = 1000
MAX_TRACEBACK = 4000

# What reading a record that makes no sense may raise; RecursionError is JSON nested without end.
UNREADABLE = (ValueError, TypeError, RecursionError, OptionError, msgspec.DecodeError)

_OURS = str(Path(__file__).parent)  # frames of the worker itself tell nobody anything
_COUNTERS = (
    "failed", "timeouts", "crashes", "lost", "interrupted", "suspected", "snoozed", "throttled",
)  # fmt: skip


class Past(NamedTuple):
    """What a record says beyond the plain: a job that ran before, or that asked for something."""

    counters: Counters
    history: list[dict[str, Any]]
    options: RunOptions
    parked: int | None
    """When it was first set aside because no worker knew its task; ms since 1970."""
    expires: int | None
    """When it may not start any more; ms since 1970."""
    ended: str
    """What its last run was charged with when its process ended, and nobody has judged yet; or ""."""


def read_past(more: dict[bytes, bytes]) -> Past:
    """Read the whole record of a claimed job.

    Raises one of UNREADABLE for what jobd did not write.
    """
    _count(more, "due")
    if len(more) == 1:  # it was delayed, and nothing else: claim.lua
        return _ONLY_DELAYED
    return Past(
        counters=Counters(**{name: _count(more, name) for name in _COUNTERS}),
        history=_history(more.get(b"history")),
        options=_options(more.get(b"options")),
        parked=_parked(more),
        expires=_count(more, "expires") if b"expires" in more else None,
        ended=more.get(b"ended", b"").decode(),
    )


def company(more: dict[bytes, bytes]) -> int | None:
    """Say how many jobs may run in a process together with this one, itself included; None: any.

    A job that ran among others when their process crashed is suspected with them. It runs among half
    as many from then on, at last alone: so the one that did it is found in as many crashes as the
    number of its neighbours can be halved, and only a crash while it ran alone is charged to it. One
    that has ended by itself since is free of suspicion. A job that was lost with its host runs alone.
    """
    if b"lost" in more:
        return 1
    if b"suspected" not in more:
        return None
    try:
        for line in reversed(_history(more.get(b"history"))):
            match line.get("kind"):
                case "crash" | "memory" | "oom" | "hung":
                    return max(1, int(line.get("among", 1)) // 2)
                case "failed" | "soft_timeout" | "timeout":
                    return None
    except UNREADABLE:
        return 1  # it is buried at its start
    return 1


def _parked(more: dict[bytes, bytes]) -> int | None:
    if b"parked" not in more:
        return None
    since, error = _count(more, "parked"), more.get(b"error")
    return since if error is None or error.startswith(PARKED.encode()) else None


_ONLY_DELAYED = Past(Counters(), [], NOTHING_SAID, None, None, "")


def _count(more: dict[bytes, bytes], name: str) -> int:
    number = int(more.get(name.encode(), 0))
    if number < 0:
        raise ValueError(f"{name}: {number}; expected no number below zero")
    return number


def _options(raw: bytes | None) -> RunOptions:
    if raw is None:
        return NOTHING_SAID
    said = msgspec.json.decode(raw, type=dict[str, Any])
    return read_run_options(said, what="the job's options", by_name=True)


def read_labels(more: dict[bytes, bytes]) -> tuple[str | None, dict[str, Any]]:
    """Read the group and the meta from a record that `read_past` could read."""
    raw = more.get(b"options")
    return labels_of({} if raw is None else msgspec.json.decode(raw, type=dict[str, Any]))


def _history(raw: bytes | None) -> list[dict[str, Any]]:
    return [] if raw is None else msgspec.json.decode(raw, type=list[dict[str, Any]])


def write_history(history: list[dict[str, Any]]) -> bytes:
    """Write a history, bounded: its first line, which often tells most, and the last ones.

    What is too large loses the tracebacks between these two first, the older ones sooner.
    """
    kept = list(history)
    if len(kept) > MAX_HISTORY:
        kept = [kept[0], *kept[1 - MAX_HISTORY :]]
    raw = msgspec.json.encode(kept)
    for i in range(1, len(kept) - 1):
        if len(raw) <= MAX_HISTORY_BYTES:
            return raw
        if "traceback" in kept[i]:
            kept[i] = {name: value for name, value in kept[i].items() if name != "traceback"}
            raw = msgspec.json.encode(kept)
    while len(raw) > MAX_HISTORY_BYTES and len(kept) > 2:
        del kept[1]
        raw = msgspec.json.encode(kept)
    return raw


def noted(history: list[dict[str, Any]], note: str) -> list[dict[str, Any]]:
    """Add a note to the last line, when there is one to add."""
    return [*history[:-1], {**history[-1], "note": note}] if note and history else history


def describe(error: BaseException) -> tuple[str, str]:
    """Put an exception in a line, and its traceback in a bounded text. Never fails itself."""
    frames = error.__traceback__
    while frames is not None and frames.tb_next is not None and _is_ours(frames):
        frames = frames.tb_next
    try:
        line = f"{type(error).__name__}: {error}"
        trace = "".join(traceback.format_exception(type(error), error, frames, limit=-30))
    except BaseException as second:  # noqa: BLE001  user code: an exception whose __str__ raises
        line = f"{type(error).__name__} (its text raised {type(second).__name__})"
        trace = "".join(traceback.format_tb(frames, limit=-30))
    return writable(line[:MAX_ERROR]), writable(_without_its_middle(trace))


def _is_ours(frames: TracebackType) -> bool:
    return frames.tb_frame.f_code.co_filename.startswith(_OURS)


def _without_its_middle(trace: str) -> str:
    """Bound a traceback: how it began and how it ended are worth more than what is between."""
    if len(trace) <= MAX_TRACEBACK:
        return trace
    head, tail = trace[: MAX_TRACEBACK // 4], trace[-(MAX_TRACEBACK * 3 // 4) :]
    return f"{head}\n... {len(trace) - len(head) - len(tail)} characters left out ...\n{tail}"


def writable(text: str) -> str:
    """Make text that UTF-8 can hold: the name of a file may bring lone surrogates into an error."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def last_error(history: list[dict[str, Any]]) -> str:
    """Say how the last run ended: its exception, or how its process did."""
    if not history:
        return ""
    last = history[-1]
    if "error" in last:
        return str(last["error"])
    kind, how = str(last.get("kind", "")), last.get("how")
    return f"{kind}: its process ended with {how}" if how else kind
