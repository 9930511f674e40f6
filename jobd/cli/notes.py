"""What a job says of itself, as `jobd jobs show` prints it: at once, or line by line while it runs."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import click
import msgspec

from jobd.broker.commands import WAITS
from jobd.broker.connection import Client
from jobd.broker.notes import JobLine, JobProgress
from jobd.broker.notices import Notices
from jobd.broker.store import Store
from jobd.broker.views import Views
from jobd.cli.output import printable
from jobd.seams import clock

_LOOK = 0.25  # seconds between two looks at a job that is followed
_ASKED_FOR = 60_000  # ms; renewed with each look
_BAR = 20


def bar(progress: JobProgress) -> str:
    """Draw how far a job says it is."""
    full = round(min(max(progress.fraction, 0.0), 1.0) * _BAR)
    drawn = f"[{'#' * full}{'.' * (_BAR - full)}] {progress.fraction:4.0%}"
    return f"{drawn}  {printable(progress.text)}".rstrip()


def print_log(lines: Iterable[JobLine], dropped: int) -> None:
    """Print a log; a line of its own says where older ones are missing."""
    if dropped:
        click.echo(f"{'log:':<14} {dropped} older lines are not kept")
    for line in lines:
        print_line(line)


def print_line(line: JobLine) -> None:
    """Print one entry; one of several lines keeps them."""
    first, *others = line.text.splitlines() or [""]
    click.echo(f"{_time(line.at):<14} {printable(first)}")
    for other in others:
        click.echo(f"{'':<14} {printable(other)}")


def _time(at_ms: int) -> str:
    try:
        return clock.utc(at_ms / 1000).astimezone().strftime("%H:%M:%S.%f")[:12]
    except (ValueError, OverflowError, OSError):
        return printable(at_ms)


class Follower:
    """Prints what a job says while it does, until it ends."""

    def __init__(self, views: Views, store: Store, client: Client, *, as_json: bool) -> None:
        self._views = views
        self._store = store
        self._client = client
        self._as_json = as_json
        self._in_place = sys.stdout.isatty() and not as_json
        self._seen = 0
        self._progress: JobProgress | None = None

    def skip(self, seen: int, progress: JobProgress | None) -> None:
        """Leave out what was printed already: so many lines of the log, and this progress."""
        self._seen, self._progress = seen, progress

    def follow(self, queue: str, job_id: str) -> None:
        """Go on until the job has ended or its record is gone. Raises BrokerError."""
        with Notices(self._client, self._store.commands.keys, job_id) as notices:
            while True:
                # Asked before the notes are read: what was said at the very end is printed too.
                end = self._store.await_end(job_id, _ASKED_FOR)
                self._print(*self._views.notes(queue, job_id))
                if end.state != WAITS:
                    return
                notices.wait(_LOOK)

    def _print(self, progress: JobProgress | None, log: list[JobLine], dropped: int) -> None:
        new = log[max(0, self._seen - dropped) :]
        moved = progress is not None and progress != self._progress
        self._seen, self._progress = dropped + len(log), progress
        if self._as_json:
            for line in new:
                self._print_json({"log": line})
            if moved:
                self._print_json({"progress": progress})
            return
        if self._in_place and (new or moved):
            click.echo("\r\x1b[K", nl=False)
        for line in new:
            print_line(line)
        if progress is not None and (moved or (self._in_place and new)):
            click.echo(f"{'progress:':<14} {bar(progress)}", nl=not self._in_place)

    def close(self) -> None:
        """Leave the line on which progress stands."""
        if self._in_place and self._progress is not None:
            click.echo()

    @staticmethod
    def _print_json(fact: dict[str, Any]) -> None:
        click.echo(msgspec.json.encode(fact))
