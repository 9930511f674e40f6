"""Jobs written as lines of JSON: reading one line after another, and what is wrong with a line.

A line is an object with `args`, perhaps `task`, and any options of a call. Times are ISO 8601 with a
zone. Lines of any number are read in constant memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, BinaryIO, NamedTuple

import msgspec

from jobd.client.queue import Addition, Queue
from jobd.core.errors import EX_DATAERR, JobdError, OptionError
from jobd.core.unreadable import UNREADABLE_JSON

# Options that may be an instant, ISO 8601 with a zone.
INSTANTS = frozenset({"run_after", "expires"})
# Arguments may have 128 KiB; escapes can make six times as much of them.
LONGEST_LINE = 1024 * 1024
_EXAMPLE = '{"task": "welcome-email", "args": {"user_id": 7}}'


class BadLine(JobdError):
    """A line that is no job. `number` counts from 1."""

    code = "jobd.bad_line"
    exit_code = EX_DATAERR

    def __init__(self, number: int, why: str) -> None:
        self.number = number
        self.why = why
        super().__init__(f"line {number}: {why}")


class Line(NamedTuple):
    """A line that is not blank; `number` counts from 1, `end` is where it ends, in bytes."""

    number: int
    end: int
    text: bytes


def lines(stream: BinaryIO) -> Iterator[Line]:
    """Give each line that is not blank. Of one that is too long, no more than its beginning."""
    number = end = 0
    while text := stream.readline(LONGEST_LINE):
        number += 1
        end += len(text)
        if len(text) == LONGEST_LINE and not text.endswith(b"\n"):
            while more := stream.readline(LONGEST_LINE):
                end += len(more)
                if more.endswith(b"\n"):
                    break
        if number == 1:
            text = text.removeprefix(b"\xef\xbb\xbf")
        if text.strip():
            yield Line(number, end, text)


class Reader:
    """Reads lines into jobs of one queue.

    `task` and `options` are for lines that do not say; `id_prefix` makes ids of line numbers.
    """

    def __init__(
        self,
        queue: Queue,
        task: str | None,
        options: dict[str, Any],
        id_prefix: str | None,
    ) -> None:
        self._queue = queue
        self._task = task
        self._options = options
        self._id_prefix = id_prefix

    def read(self, line: Line) -> Addition:
        """Read a line. Raises BadLine."""
        try:
            return self._job(line)
        except (OptionError, ValueError, TypeError) as error:
            raise BadLine(line.number, str(error)) from error

    def check(self, line: Line) -> Addition:
        """Read a line, and make sure that its job can be added. Raises BadLine."""
        job = self.read(line)
        try:
            self._queue.check(job)
        except (JobdError, TypeError) as error:
            raise BadLine(line.number, str(error)) from error
        return job

    def _job(self, line: Line) -> Addition:
        if len(line.text) >= LONGEST_LINE:
            raise ValueError(
                f"over {LONGEST_LINE} bytes; expected a job; keep large data elsewhere"
            )
        try:
            said = msgspec.json.decode(line.text)
        except UNREADABLE_JSON as error:
            raise ValueError(
                f"{error}; expected one JSON object a line, as in {_EXAMPLE}"
            ) from error
        if not isinstance(said, dict):
            raise TypeError(f"{line.text[:80]!r}; expected a JSON object, as in {_EXAMPLE}")
        task, args = said.pop("task", self._task), said.pop("args", {})
        if not isinstance(task, str):
            raise TypeError(f"task {task!r}; expected a name; write it here or on the command line")
        if not isinstance(args, dict):
            raise TypeError(f"args {str(args)[:80]!r}; expected an object by parameter name")
        options = {**self._options, **said}
        for name in INSTANTS & options.keys():
            options[name] = instant(options[name])
        if self._id_prefix is not None:
            options.setdefault("job_id", f"{self._id_prefix}.{line.number}")
        return task, args, options


def instant(said: object) -> object:
    """Read an instant; what looks like none is left to whoever reads durations. Raises ValueError."""
    if isinstance(said, str) and "-" in said:
        return datetime.fromisoformat(said)
    return said


# What a bad line is told to.
Report = Callable[[BadLine], None]


def good_jobs(
    stream: BinaryIO, reader: Reader, *, check: bool, report: Report | None
) -> Iterator[tuple[Line, Addition]]:
    """Give each line's job. A bad line is reported, or raised where nobody wants reports."""
    for line in lines(stream):
        try:
            job = reader.check(line) if check else reader.read(line)
        except BadLine as bad:
            if report is None:
                raise
            report(bad)
        else:
            yield line, job
