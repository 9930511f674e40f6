"""`jobd enqueue QUEUE --from FILE`: many jobs, a line of JSON each.

A file is checked as a whole before the first job is added. Standard input can be read only once: its
jobs are added as they come, up to the first bad line. Either can be told to skip bad lines. In any
case every bad line is named, and it is said what is in and how to go on.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, NamedTuple

import click

from jobd.cli.job_lines import BadLine, Line, Reader, good_jobs
from jobd.cli.output import print_json, printable
from jobd.cli.progress import counter, progress
from jobd.client.added import Added
from jobd.client.chunks import CHUNK
from jobd.client.queue import Addition, Queue
from jobd.core.errors import EX_DATAERR, EX_NOINPUT, EX_TEMPFAIL, BrokerError, BrokerUnavailable

SHOWN = 20  # bad lines, for people
KEPT = 1000  # bad lines, for programs


class Request(NamedTuple):
    """One command line, read. `source` is a path, or - for standard input."""

    source: str
    reader: Reader
    skip_bad: bool
    dry_run: bool
    as_json: bool


class Account:
    """What became of the lines so far."""

    def __init__(self) -> None:
        self.good = 0
        self.bad = 0
        self.shown: list[BadLine] = []
        self.added = Added()
        self.cut_off: str | None = None

    def report(self, bad: BadLine) -> None:
        """Count a bad line."""
        self.bad += 1
        if len(self.shown) < KEPT:
            self.shown.append(bad)


def enqueue_lines(queue: Queue, request: Request) -> int:
    """Carry it out; say what became of it; give the exit code."""
    with ExitStack() as stack:
        if request.source == "-":
            stream: BinaryIO = sys.stdin.buffer
        else:
            try:
                stream = stack.enter_context(Path(request.source).open("rb"))
            except OSError as error:
                click.echo(f"jobd: {request.source}: {error.strerror}; expected a file", err=True)
                return EX_NOINPUT
        account = Account()
        code = _carry_out(queue, request, stream, account)
    _say(request, account)
    return code


def _carry_out(queue: Queue, request: Request, stream: BinaryIO, account: Account) -> int:
    twice = stream.seekable() and not request.skip_bad
    if request.dry_run or twice:
        _check(request, stream, account)
        if request.dry_run or account.bad:
            return EX_DATAERR if account.bad else 0
        stream.seek(0)
    total, account.good = account.good, 0
    adding = Adding(queue, request, account)
    try:
        adding.run(stream, total=total)
    except BadLine as bad:
        account.report(bad)
    except BrokerError as error:
        account.cut_off = adding.how_to_go_on(error)
        unknown = isinstance(error, BrokerUnavailable) and error.outcome_unknown
        return EX_TEMPFAIL if unknown else error.exit_code
    return EX_DATAERR if account.bad else 0


def _check(request: Request, stream: BinaryIO, account: Account) -> None:
    size = os.fstat(stream.fileno()).st_size if stream.seekable() else 0
    with progress("checking", size, quiet=request.as_json or not size) as advance:
        end = 0
        for line, _ in good_jobs(stream, request.reader, check=True, report=account.report):
            account.good += 1
            if not account.good % CHUNK:
                advance(line.end - end)
                end = line.end


class Adding:
    """Adds the jobs of a stream. Remembers which line each of the last few thousand came from."""

    def __init__(self, queue: Queue, request: Request, account: Account) -> None:
        self._queue = queue
        self._request = request
        self._account = account
        self._numbers: deque[int] = deque(maxlen=3 * CHUNK)

    def run(self, stream: BinaryIO, *, total: int) -> None:
        """Add them; `total` is their number where it is known: they were checked, then. Raises
        BrokerError, and BadLine when bad lines are not to be skipped."""
        request, account = self._request, self._account
        report = account.report if request.skip_bad else None
        jobs = good_jobs(stream, request.reader, check=not total, report=report)
        shown = (
            progress("adding", total, quiet=request.as_json)
            if total
            else counter("added", quiet=request.as_json)
        )
        with shown as advance:
            done = 0

            def tell(added: Added) -> None:
                nonlocal done
                account.added = added
                advance(len(added) - done)
                done = len(added)

            account.added = self._queue.add_many(self._noted(jobs), progress=tell)

    def _noted(self, jobs: Iterator[tuple[Line, Addition]]) -> Iterator[Addition]:
        for line, job in jobs:
            self._account.good += 1
            self._numbers.append(line.number)
            yield job

    def how_to_go_on(self, error: BrokerError) -> str:
        """Say what is in, what may be, and what to do."""
        before = self._account.good - len(self._numbers)  # jobs whose lines are forgotten
        first = self._numbers[error.added - before]
        last = self._numbers[min(error.added + len(error.job_ids), self._account.good) - before - 1]
        known = isinstance(error, BrokerUnavailable) and not error.outcome_unknown
        return (
            f"{error}; {error.added} jobs are in; those of lines {first} to {last} "
            f"{'are not' if known else 'may be'}, and none after them; run the same again if each line has a job_id, or with --id-prefix from the "
            f"first time on: nothing is added twice; else begin again at line {first}"
        )


def _say(request: Request, account: Account) -> None:
    bad = [{"line": each.number, "problem": each.why} for each in account.shown]
    if request.as_json:
        print_json(
            {
                "source": request.source, "dry_run": request.dry_run,
                "good_lines": account.good, "bad_lines": account.bad,
                "enqueued": account.added.enqueued, "duplicates": account.added.duplicates,
                "bad": bad, "error": account.cut_off,
            }
        )  # fmt: skip
        return
    for each in account.shown[:SHOWN]:
        click.echo(printable(f"{request.source}: {each}"), err=True)
    if account.bad > SHOWN:
        click.echo(f"... and {account.bad - SHOWN} more bad lines", err=True)
    if account.cut_off is not None:
        click.echo(f"jobd: {account.cut_off}", err=True)
        return
    if request.dry_run:
        click.echo(f"would add: {account.good}; bad lines: {account.bad}")
        return
    click.echo(f"enqueued: {account.added.enqueued}; duplicates: {account.added.duplicates}")
    if account.bad and not request.skip_bad:
        is_any_in = account.added.enqueued or account.added.duplicates
        what = "none after the bad line was added" if is_any_in else "nothing was added"
        click.echo(f"{what}; correct it, or leave bad lines out with --skip-bad", err=True)
