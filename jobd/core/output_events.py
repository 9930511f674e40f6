"""What tasks, and all that runs in a worker, write to standard output and error; see jobd.core.events.

`job`, its claim's `token` and `task` are None where it is not known who wrote, and then are left out. A `text` too long for
one record becomes several.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from jobd.core.events import Event, Level

Stream = Literal["stdout", "stderr", "fd"]
"""`fd`: written to a descriptor past Python - by a C library, a subprocess, the crash of the process."""


class TaskOutput(Event, frozen=True, kw_only=True):
    """A line was written to standard output."""

    event: ClassVar[str] = "task.output"
    slot: str
    stream: Stream = "stdout"
    task: str | None = None
    job: str | None = None
    token: int | None = None
    text: str


class TaskErrorOutput(TaskOutput, frozen=True, kw_only=True):
    """A line was written to standard error, or to a descriptor: what is written there is trouble."""

    level: ClassVar[Level] = "warning"


class AppOutput(Event, frozen=True, kw_only=True):
    """A line was written while the application was imported."""

    event: ClassVar[str] = "app.output"
    app: str
    stream: Stream = "stdout"
    text: str


class AppErrorOutput(AppOutput, frozen=True, kw_only=True):
    """A line was written to standard error while the application was imported."""

    level: ClassVar[Level] = "warning"


class HelperOutput(Event, frozen=True, kw_only=True):
    """A line was written to a descriptor of the keeper or a preloader, past their logs."""

    event: ClassVar[str] = "helper.output"
    level: ClassVar[Level] = "warning"
    helper: str
    text: str


class OutputDropped(Event, frozen=True, kw_only=True):
    """A process has written more than its log takes: so many bytes of it are not there."""

    event: ClassVar[str] = "output.dropped"
    level: ClassVar[Level] = "warning"
    slot: str
    bytes: int
    hint: str = "write large output to a file; 512 KiB a second of each worker go to the log"


class LogStalled(Event, frozen=True, kw_only=True):
    """Whoever reads the log did not read for a while: so many records of this process are not there."""

    event: ClassVar[str] = "log.stalled"
    level: ClassVar[Level] = "warning"
    records: int
