"""What a running job says of itself, as it stands in its record: written and read in one place.

`~progress` is one JSON array, `~log` is one a line, `~noted` is "claim version taken kept dropped", and
`~once:NAME` is a step's value. The scripts `jot` and `step` write them. Reading gives what makes
sense and passes over the rest: whatever is in Redis may be a stranger's.
"""

from __future__ import annotations

from typing import Any

import msgspec

from jobd.core.unreadable import UNREADABLE_JSON

MAX_TEXT = 2000  # characters of a line, or of what progress says
MAX_LINES = 1000  # as jot.lua keeps them
STEP = "~once:"
# What a step has for a value when its own could not be kept: this, and why.
NO_VALUE = b"!"

_Progress = tuple[int, int, float, str]
_Line = tuple[int, int, str]


class JobProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run said it was. `fraction` is 0 to 1, `at` ms since 1970, `token` the run's claim."""

    fraction: float
    text: str
    at: int
    token: int


class JobLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a job's log. `at` is ms since 1970, `token` the claim of the run that wrote it."""

    at: int
    token: int
    text: str


def bounded(text: str) -> str:
    """Cut a text that is too long, and make it one that UTF-8 can hold."""
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}... ({len(text) - MAX_TEXT} characters more)"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def write_progress(at: int, token: int, fraction: float, text: str) -> bytes:
    """Write what a run says of its progress."""
    return msgspec.json.encode((at, token, fraction, bounded(text)))


def write_line(at: int, token: int, text: str) -> bytes:
    """Write one line of a log. Whatever the text is, it stays one: JSON has no bare newline."""
    return msgspec.json.encode((at, token, bounded(text))) + b"\n"


def read_progress(raw: bytes | None) -> JobProgress | None:
    """Read `~progress`; None where there is none, or none that makes sense."""
    found = _read(raw, _Progress)
    if found is None:
        return None
    at, token, fraction, text = found
    return JobProgress(fraction=fraction, text=text, at=at, token=token)


def read_log(raw: bytes | None) -> list[JobLine]:
    """Read `~log`, without the lines that make no sense."""
    lines = [_read(line, _Line) for line in (raw or b"").split(b"\n")]
    return [JobLine(at=at, token=token, text=text) for at, token, text in filter(None, lines)]


def read_dropped(noted: bytes | None) -> int:
    """Read from `~noted` how many lines of the log are not kept any more."""
    words = (noted or b"").split()
    return int(words[4]) if len(words) == 5 and words[4].isdigit() else 0


def read_steps(record: dict[str, bytes]) -> dict[str, Any]:
    """Read the values of a record's steps, by name; of one without a value, why there is none."""
    return {
        name.removeprefix(STEP): _value(raw)
        for name, raw in record.items()
        if name.startswith(STEP)
    }


def _value(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except UNREADABLE_JSON:
        return raw.decode("utf-8", "replace")


def _read(raw: bytes | None, kind: Any) -> Any:
    if not raw:
        return None
    try:
        return msgspec.json.decode(raw, type=kind)
    except UNREADABLE_JSON:
        return None
