"""Events to lines: the one place where they are rendered. One record a line, on standard error.

Invariant: a line is written whole, by one write(2), so the processes of a daemon that share the
stream never mix their lines. Losing the stream (a closed pipe) never ends a daemon.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping

import msgspec

from jobd.core.durations import words
from jobd.core.events import LEVELS, Event, Level
from jobd.seams import clock

Emit = Callable[[Event], None]

_COLOURS: dict[Level, str] = {"debug": "2", "info": "32", "warning": "33", "error": "31"}
_PRIORITY: dict[Level, int] = {"debug": 7, "info": 6, "warning": 4, "error": 3}
_SPANS = ("restart_in", "retry_in", "grace")
# What people at a terminal do not read: names for programs. The slot says who it was.
_FOR_PROGRAMS = ("incarnation", "nonce")


class Log:
    """Renders events in one format and writes those of `level` and above. Call it to emit."""

    def __init__(
        self, *, style: str, level: str, role: str, fd: int = 2, bound: Mapping[str, object] = {}
    ) -> None:
        """`style` is auto, console, journal or json; `bound` fields are added to each record."""
        chosen = _auto(fd) if style == "auto" else style
        self._render = _RENDERERS[chosen]
        self._least = LEVELS[level]
        self._fd = fd
        self._role = role
        self._bound = dict(bound)
        self._colour = chosen == "console" and os.isatty(fd) and "NO_COLOR" not in os.environ

    def __call__(self, event: Event) -> None:
        if LEVELS[event.level] < self._least:
            return
        fields = self._bound | {name: getattr(event, name) for name in event.__struct_fields__}
        line = self._render(event, self._role, fields, self._colour)
        try:
            os.write(self._fd, line.encode("utf-8", "backslashreplace") + b"\n")
        except OSError:
            # Nowhere is left to say it: a daemon outlives the reader of its log.
            return

    def paragraph(self, text: str) -> None:
        """Write one readable paragraph, whatever the format: the journal alone wants its priority."""
        paragraph(f"<{_PRIORITY['error']}>{text}" if self._render is _journal else text)


def paragraph(text: str) -> None:
    """Write one readable paragraph for the person who started the daemon."""
    sys.stderr.write(text.rstrip() + "\n")
    sys.stderr.flush()


def _auto(fd: int) -> str:
    if os.isatty(fd):
        return "console"
    return "journal" if "JOURNAL_STREAM" in os.environ else "json"


def _json(event: Event, role: str, fields: Mapping[str, object], _colour: bool) -> str:
    head = {"ts": clock.utc().isoformat(timespec="milliseconds"), "level": event.level}
    record = head | {"event": event.event, "role": role} | dict(fields)
    return msgspec.json.encode(record).decode()


def _console(event: Event, role: str, fields: Mapping[str, object], colour: bool) -> str:
    at = clock.utc().astimezone().strftime("%H:%M:%S")
    level = f"{event.level:<7}"
    if colour:
        level = f"\x1b[{_COLOURS[event.level]}m{level}\x1b[0m"
    shown = fields
    if "slot" in fields or "nonce" in fields:
        shown = {name: value for name, value in fields.items() if name not in _FOR_PROGRAMS}
    return f"{at} {level} {role:<10} {_plain(event, shown)}"


def _journal(event: Event, role: str, fields: Mapping[str, object], _colour: bool) -> str:
    return f"<{_PRIORITY[event.level]}>{role}: {_plain(event, fields)}"


def _plain(event: Event, fields: Mapping[str, object]) -> str:
    shown = (f"{name}={_value(name, value)}" for name, value in fields.items() if value != ())
    return " ".join((f"{event.event:<16}", *shown)).rstrip()


def _value(name: str, value: object) -> str:
    if isinstance(value, float) and name in _SPANS:
        return words(value)
    if isinstance(value, tuple | list):
        return ",".join(str(item) for item in value)
    text = str(value)
    # As JSON where it would run into the next field, or make the terminal do something.
    quoted = " " in text or '"' in text or not text.isprintable()
    return _quoted(text) if quoted else text


def _quoted(text: str) -> str:
    """Write a text as JSON without a control character in it, those of Unicode included."""
    raw = msgspec.json.encode(text).decode()
    return "".join(c if c.isprintable() else f"\\u{ord(c) & 0xFFFF:04x}" for c in raw)


_RENDERERS = {"json": _json, "console": _console, "journal": _journal}
