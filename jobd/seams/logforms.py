"""The forms of a record: a line of JSON, a line for people, a line with its priority, fields of the journal.

Invariants: a record is one line without a control character in it, whatever names and errors hold; no
record is longer than the room it is given, what does not fit is cut where it is longest. In the journal's
fields values stand as they are, there they are data. Called by jobd.seams.log and jobd.seams.applog.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

import msgspec

from jobd.core.durations import words
from jobd.core.events import Event, Level
from jobd.core.output_events import AppOutput, HelperOutput, TaskOutput
from jobd.seams import clock, journal

Fields = Mapping[str, object]
Form = Callable[[Event, str, Fields, bool], bytes]
"""Makes a record of an event, the role of who says it, and fields; coloured or not."""

PRINTED = (TaskOutput, AppOutput, HelperOutput)
PRIORITY: dict[Level, int] = {"debug": 7, "info": 6, "warning": 4, "error": 3}
_COLOURS: dict[Level, str] = {"debug": "2", "info": "32", "warning": "33", "error": "31"}
_SPANS = ("restart_in", "retry_in", "grace")
# What people at a terminal do not read: names for programs. The slot says who it was, and its queue.
_FOR_PROGRAMS = ("incarnation", "nonce", "queue", "token", "tokens")
# Colours and movements of the cursor, which programs print for a terminal.
_FOR_TERMINALS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
# Fields of the journal that are not called as ours are: whoever looks for one job finds all about it.
_LISTED = {"jobs": "JOBD_JOB", "queues": "JOBD_QUEUE", "tokens": "JOBD_TOKEN"}
_RENAMED = {"incarnation": "JOBD_WORKER"}
# No field is cut below this: all of them together are shorter than any room.
_KEPT = 16
_CUT = "…"


def as_json(event: Event, role: str, fields: Fields, _colour: bool) -> bytes:
    """Write a record for programs."""
    head = {"ts": clock.utc().isoformat(timespec="milliseconds"), "level": event.level}
    record = head | {"event": event.event, "role": role} | dict(fields)
    return _line(_json(record))


def for_console(event: Event, role: str, fields: Fields, colour: bool) -> bytes:
    """Write a record for somebody who watches."""
    at = clock.utc().astimezone().strftime("%H:%M:%S")
    level = f"{event.level:<7}"
    if colour:
        level = f"\x1b[{_COLOURS[event.level]}m{level}\x1b[0m"
    if isinstance(event, TaskOutput):
        names = (str(fields.get(name, "")) for name in ("task", "job"))
        who = " ".join((f"{fields['slot']!s:<10}", *names)).rstrip()
        return _line(f"{at} {level} {_shown(who)} | {_as_printed(str(fields['text']))}")
    return _line(f"{at} {level} {role:<10} {_plain(event, _for_people(fields))}")


def with_priority(event: Event, role: str, fields: Fields, _colour: bool) -> bytes:
    """Write a line as sd-daemon(3) says: the journal reads its priority in front."""
    return _line(f"<{PRIORITY[event.level]}>{role}: {_plain(event, fields)}")


def for_journal(event: Event, role: str, fields: Fields, _colour: bool) -> bytes:
    """Make the journal's fields: one readable line, and all that is known besides."""
    return journal.encode(_fields(event, role, fields))


def as_words(event: Event, fields: Fields) -> str:
    """Write the line for people, to be part of another program's record."""
    return _plain(event, fields)


def _fields(event: Event, role: str, fields: Fields) -> Iterator[tuple[str, str]]:
    yield "MESSAGE", f"{role}: {_plain(event, _for_people(fields))}"
    yield "PRIORITY", str(PRIORITY[event.level])
    yield "SYSLOG_IDENTIFIER", "jobd"
    yield "JOBD_EVENT", event.event
    yield "JOBD_ROLE", role
    for name, value in fields.items():
        if name == "text" and isinstance(event, PRINTED):
            continue  # it is in the message
        if isinstance(value, tuple | list):
            called = _LISTED.get(name, f"JOBD_{name.upper()}")
            yield from ((called, str(item)) for item in value)
        elif value != "":
            yield _RENAMED.get(name, f"JOBD_{name.upper()}"), str(value)


def fitted(form: Form, event: Event, role: str, fields: Fields, colour: bool, room: int) -> bytes:
    """Make a record that is no longer than the room."""
    record = form(event, role, fields, colour)
    while len(record) > room:
        name = max(fields, key=lambda name: _length(fields[name]))
        if _length(fields[name]) <= _KEPT:
            break  # there is no room for anything
        fields = {**fields, name: _half(fields[name])}
        record = form(event, role, fields, colour)
    return record


def parts(text: str, room: int) -> Iterator[str]:
    """Cut a text so that each part, as JSON or as a line, takes no more than the room."""
    if 6 * len(text) <= room or len(_json(text).encode()) <= room:
        yield text
    else:
        half = len(text) // 2
        half = text.rfind("\n", half // 2, half) + 1 or half
        yield from parts(text[:half], room)
        yield from parts(text[half:], room)


def _length(value: object) -> int:
    if isinstance(value, str):
        return len(value)
    return sum(map(_length, value)) + len(value) if isinstance(value, tuple | list) else 0


def _half(value: object) -> object:
    if isinstance(value, str):
        return value[: len(value) // 2] + _CUT
    assert isinstance(value, tuple | list)
    if len(value) <= 2:
        return tuple(map(_half, value))
    return (*value[: len(value) // 2], _CUT)


def _for_people(fields: Fields) -> Fields:
    if "slot" not in fields and "nonce" not in fields:
        return fields
    return {name: value for name, value in fields.items() if name not in _FOR_PROGRAMS}


def _line(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _plain(event: Event, fields: Fields) -> str:
    printed = isinstance(event, PRINTED)
    shown = (
        f"{name}={_value(name, value)}"
        for name, value in fields.items()
        if value != () and not (printed and name == "text")
    )
    line = " ".join((f"{event.event:<16}", *shown)).rstrip()
    # As it was printed, and last, for people to read.
    return f"{line} | {_as_printed(str(fields['text']))}" if printed else line


def _as_printed(text: str) -> str:
    return _shown(_FOR_TERMINALS.sub("", text).expandtabs())


def _value(name: str, value: object) -> str:
    if isinstance(value, float) and name in _SPANS:
        return words(value)
    if isinstance(value, tuple | list):
        value = ",".join(map(str, value))
    text = str(value)
    # As JSON where it would run into the next field, or make the terminal do something.
    quoted = " " in text or '"' in text or not text.isprintable()
    return _json(text) if quoted else text


def _json(value: object) -> str:
    """Write JSON without a control character in it, those of Unicode included."""
    try:
        text = msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        # Half a character, as names of files may have, is none in JSON.
        text = msgspec.json.encode(_whole(value)).decode()
    return _shown(text)


def _whole(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, tuple | list) else value


def _shown(text: str) -> str:
    """Write a text without a character that a terminal would act on, as JSON would write those."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    raw = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{raw[at : at + 2].hex()}" for at in range(0, len(raw), 2))
