"""Events to lines: the one place where they are rendered. One record a line, on standard error.

Invariant: a line is written whole, so the processes of a daemon that share the stream never mix their
lines. Losing the stream (a closed pipe) never ends a daemon, and a reader that stands still never
holds one up (jobd.seams.logstream). What tasks print is made to fit: a long text is several records.
"""

from __future__ import annotations

import copy
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping

import msgspec
from msgspec.structs import replace

from jobd.core.durations import words
from jobd.core.events import LEVELS, Event, Level
from jobd.core.output_events import AppOutput, HelperOutput, LogStalled, TaskOutput
from jobd.seams import clock
from jobd.seams.logstream import LogStream

Emit = Callable[[Event], None]

_COLOURS: dict[Level, str] = {"debug": "2", "info": "32", "warning": "33", "error": "31"}
_PRIORITY: dict[Level, int] = {"debug": 7, "info": 6, "warning": 4, "error": 3}
_SPANS = ("restart_in", "retry_in", "grace")
# What people at a terminal do not read: names for programs. The slot says who it was.
_FOR_PROGRAMS = ("incarnation", "nonce")
_PRINTED = (TaskOutput, AppOutput, HelperOutput)
# What stands in a record beside a printed text: ids and names.
_BESIDE = 1024
# Colours and movements of the cursor, which programs print for a terminal.
_FOR_TERMINALS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


class Log:
    """Renders events in one format and writes those of `level` and above. Call it to emit."""

    def __init__(
        self,
        *,
        style: str,
        level: str,
        role: str,
        fd: int = 2,
        patience: float = 1.0,
        bound: Mapping[str, object] = {},
    ) -> None:
        """`style` is auto, console, journal or json; `bound` fields are added to each record.

        A reader that stands still is waited for `patience` seconds, once.
        """
        chosen = _auto(fd) if style == "auto" else style
        self._render = _RENDERERS[chosen]
        self._least = LEVELS[level]
        self._stream = LogStream(fd, patience=patience)
        self._role = role
        self._bound = dict(bound)
        self._colour = chosen == "console" and os.isatty(fd) and "NO_COLOR" not in os.environ

    def of(self, role: str) -> Log:
        """Give the same log, for what another process would have said."""
        twin = copy.copy(self)
        twin._role = role
        return twin

    def __call__(self, event: Event) -> None:
        if LEVELS[event.level] < self._least:
            return
        if isinstance(event, _PRINTED):
            for text in self._parts(event.text):
                self._write(event if text == event.text else replace(event, text=text))
        else:
            self._write(event)

    def _write(self, event: Event) -> None:
        # What is None is not known, and so no fact.
        facts = ((name, getattr(event, name)) for name in event.__struct_fields__)
        fields = self._bound | {name: value for name, value in facts if value is not None}
        line = self._render(event, self._role, fields, self._colour)
        written = self._stream.write(line.encode("utf-8", "backslashreplace") + b"\n")
        if written and (lost := self._stream.lost()):
            self._write(LogStalled(records=lost))

    def _parts(self, text: str) -> Iterator[str]:
        """Cut a text so that each part fits into a record, however it is written there."""
        room = self._stream.room - _BESIDE
        if 6 * len(text) <= room or len(_quoted(text).encode("utf-8", "backslashreplace")) <= room:
            yield text
        else:
            half = len(text) // 2
            yield from self._parts(text[:half])
            yield from self._parts(text[half:])

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
    if isinstance(event, TaskOutput):
        who = " ".join((f"{event.slot:<10}", event.task or "", event.job or "")).rstrip()
        return f"{at} {level} {who} | {_as_printed(event.text)}"
    shown = fields
    if "slot" in fields or "nonce" in fields:
        shown = {name: value for name, value in fields.items() if name not in _FOR_PROGRAMS}
    return f"{at} {level} {role:<10} {_plain(event, shown)}"


def _journal(event: Event, role: str, fields: Mapping[str, object], _colour: bool) -> str:
    return f"<{_PRIORITY[event.level]}>{role}: {_plain(event, fields)}"


def _plain(event: Event, fields: Mapping[str, object]) -> str:
    printed = isinstance(event, _PRINTED)
    shown = (
        f"{name}={_value(name, value)}"
        for name, value in fields.items()
        if value != () and not (printed and name == "text")
    )
    line = " ".join((f"{event.event:<16}", *shown)).rstrip()
    if not isinstance(event, _PRINTED):
        return line
    # As it was printed, and last, for people to read.
    return f"{line} | {_as_printed(event.text)}"


def _as_printed(text: str) -> str:
    return _shown(_FOR_TERMINALS.sub("", text).expandtabs())


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
    return _shown(msgspec.json.encode(text).decode())


def _shown(text: str) -> str:
    """Write a text without a character that a terminal would act on."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else f"\\u{ord(c) & 0xFFFF:04x}" for c in text)


_RENDERERS = {"json": _json, "console": _console, "journal": _journal}
