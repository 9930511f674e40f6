"""A process' log: events go in, records come out. One record a line, on standard error or in the journal.

    event ─► form (jobd.seams.logforms) ─► stream (jobd.seams.logstream), or the journal (jobd.seams.journal)

Invariant: a record is written whole, so the processes of a daemon that share the stream never mix their
lines. Losing the stream (a closed pipe, a full disk) never ends a daemon, and a reader that stands still
never holds one up. A long text is several records, and any other record is cut to fit.
"""

from __future__ import annotations

import copy
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping

from msgspec.structs import replace

from jobd.core.events import LEVELS, Event, Level, Told
from jobd.core.output_events import LogStalled
from jobd.core.progress_events import Stacks
from jobd.seams import journal, logforms
from jobd.seams.journal import Journal
from jobd.seams.logforms import PRINTED, PRIORITY, Form, fitted
from jobd.seams.logstream import LogStream

Emit = Callable[[Event], None]

_FORMS: dict[str, Form] = {
    "json": logforms.as_json,
    "console": logforms.for_console,
    "journal": logforms.with_priority,
}
# What stands in a record beside a long text: ids and names.
_BESIDE = 1024


class Log:
    """Writes events of `level` and above, in one format. Call it to emit."""

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
        self._form = _FORMS[chosen]
        self._least = LEVELS[level]
        self._stream = LogStream(fd, patience=patience)
        self._journal = _journal(patience) if chosen == "journal" else None
        self._role = role
        self._loses = False
        self._bound = dict(bound)
        self._colour = chosen == "console" and os.isatty(fd) and "NO_COLOR" not in os.environ

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What nobody else may close."""
        spoken = () if self._journal is None else self._journal.descriptors
        return (self._stream.fd, *spoken)

    @property
    def loses(self) -> bool:
        """Whether the last record was lost: nobody takes them just now."""
        return self._loses

    def of(self, role: str) -> Log:
        """Give the same log, for what another process would have said."""
        twin = copy.copy(self)
        twin._role = role
        return twin

    def __call__(self, event: Event) -> None:
        if LEVELS[event.level] < self._least:
            return
        for each in self._parts(event):
            self._write(each)

    def _write(self, event: Event) -> None:
        self._loses = not self._put(event)
        if not self._loses and (lost := self._lost()):
            self._write(LogStalled(records=lost))

    def _put(self, event: Event) -> bool:
        """Write one record; False when it was lost."""
        # What is None is not known, and so no fact.
        facts = ((name, getattr(event, name)) for name in event.__struct_fields__)
        fields = self._bound | {name: value for name, value in facts if value is not None}
        named = "queue" in fields or "queues" in fields
        if not named and (queue := _queue_of(fields.get("slot"))):
            fields["queue"] = queue
        if self._journal is not None:
            spoken = fitted(
                logforms.for_journal, event, self._role, fields, False, self._journal.room
            )
            try:
                return self._journal.write(spoken)
            except OSError:
                """Nobody is there to take it: it reads what comes on standard error, if anybody does."""
        line = fitted(self._form, event, self._role, fields, self._colour, self._stream.room)
        return self._stream.write(line)

    def _lost(self) -> int:
        spoken = 0 if self._journal is None else self._journal.lost()
        return spoken + self._stream.lost()

    def _parts(self, event: Event) -> Iterator[Event]:
        """Cut what may be long so that each part fits into a record, however it is written there."""
        room = self._stream.room - _BESIDE
        if isinstance(event, PRINTED):
            for text in logforms.parts(event.text, room):
                yield event if text == event.text else replace(event, text=text)
        elif isinstance(event, Stacks):
            # They stand in the journal twice, in its message and for programs.
            for text in logforms.parts(event.stacks, room // (1 if self._journal is None else 2)):
                yield event if text == event.stacks else replace(event, stacks=text)
        else:
            yield event

    def paragraph(self, event: Told) -> None:
        """Tell the person who started the daemon, as words; where the log is for programs, as a record."""
        if self._form is logforms.as_json:
            self(event)
        else:
            paragraph(f"jobd: {event.why}", event.level)


def paragraph(text: str, level: Level = "error") -> None:
    """Write one readable paragraph for the person who started the daemon."""
    # The journal takes a line's priority from the line.
    lead = f"<{PRIORITY[level]}>" if journal.is_behind(2) else ""
    sys.stderr.write("".join(f"{lead}{line}\n" for line in text.rstrip().splitlines()))
    sys.stderr.flush()


def for_threads(emit: Emit) -> Emit:
    """Give the same log to several threads: a record is written by one at a time."""
    lock = threading.Lock()

    def one_at_a_time(event: Event) -> None:
        with lock:
            emit(event)

    return one_at_a_time


def _auto(fd: int) -> str:
    if os.isatty(fd):
        return "console"
    return "journal" if journal.is_behind(fd) else "json"


def _journal(patience: float) -> Journal:
    made = Journal(patience=patience)
    try:
        made.open()
    except OSError:
        """Each record tries again, and goes to standard error meanwhile."""
    return made


def _queue_of(slot: object) -> str:
    """Name the queue of a slot such as email.2; '' for what is none."""
    queue, _, number = slot.rpartition(".") if isinstance(slot, str) else ("", "", "")
    return queue if number.isdecimal() else ""
