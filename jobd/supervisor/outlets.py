"""The pipes that descriptors 1 and 2 of our children lead to, one for each worker and helper.

Invariants: the writing end goes to the child alone (a worker's with its fork order) and is not kept
here; a pipe is open until the last who could write to it has closed it, or until its worker has ended
and what it said last was read. Reading never waits, and takes a bounded time, however much is written and by how
many. Called by the loop, which watches all of them as one descriptor.
"""

from __future__ import annotations

import fcntl
import os
import selectors
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from jobd.core.events import Event
from jobd.seams import clock
from jobd.supervisor.outlet import Outlet, Run, of_helper, of_worker

# What one may write before it has to wait for us. A user's pipes may have 64 MiB in all.
_SIZE = 1 << 18
# How much is read at once, of what becomes records and of what is thrown away.
_SOME = 2 << 10
_MUCH = 1 << 16
# How much is thrown away of one before the next has its turn, and of all before the loop has its own.
_OF_ONE = 4 * _MUCH
_AT_ONCE = 16 * _MUCH

RunOf = Callable[[str], Run | None]
"""Tells which job runs in the worker of this incarnation, if it is exactly one."""


class _Pipe(NamedTuple):
    reader: int
    outlet: Outlet
    emit: Callable[[Event], None]

    def say(self, records: list[Event]) -> None:
        for record in records:
            self.emit(record)


class Outlets:
    """All pipes, by incarnation, or by the helper's name."""

    def __init__(
        self, *, workers: Callable[[Event], None], helpers: Callable[[Event], None]
    ) -> None:
        """`workers` and `helpers` log what these have said."""
        self._workers = workers
        self._helpers = helpers
        self._table: dict[str, _Pipe] = {}
        self._selector = selectors.EpollSelector()
        self._first = 0  # whose turn it is, of those that have something to say

    def fileno(self) -> int:
        """Give the descriptor that is readable when one of them is."""
        return self._selector.fileno()

    def open(self, incarnation: str, slot: str) -> int | None:
        """Make a worker's pipe; give its writing end, to be given away.

        None when there are no descriptors left: it then writes where its preloader does.
        """
        return self._open(incarnation, Outlet(slot, of_worker(slot)), self._workers)

    def open_helper(self, name: str) -> int | None:
        """Make a helper's pipe, the same way. One that has gone had the same name."""
        if name in self._table:
            self._close(name, lambda _name: None)
        return self._open(name, Outlet(name, of_helper(name)), self._helpers)

    def _open(self, name: str, outlet: Outlet, emit: Callable[[Event], None]) -> int | None:
        try:
            reader, writer = os.pipe2(os.O_CLOEXEC)
        except OSError:
            return None
        os.set_blocking(reader, False)
        with suppress(OSError):
            fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, _SIZE)
        self._table[name] = _Pipe(reader, outlet, emit)
        self._selector.register(reader, selectors.EVENT_READ, name)
        return writer

    def hear(self, run_of: RunOf) -> None:
        """Log what is there to read, or a part of it."""
        ready = [str(key.data) for key, _ in self._selector.select(0)]
        self._first = (self._first + 1) % max(1, len(ready))
        left = _AT_ONCE
        for incarnation in ready[self._first :] + ready[: self._first]:
            if left <= 0:
                return
            count, is_open = self._read(incarnation, run_of)
            left -= count
            if not is_open:
                self._close(incarnation, run_of)

    def pause(self) -> None:
        """Say of each what was dropped, where that is over. To be called now and then."""
        now = clock.mono()
        for pipe in self._table.values():
            if pipe.outlet.owes:
                pipe.say(pipe.outlet.pause(now))

    def end(self, incarnation: str, run_of: RunOf) -> None:
        """Log the last words of a worker that has ended. What it left running is not heard any more."""
        left = _SIZE
        while incarnation in self._table:
            count, is_open = self._read(incarnation, run_of)
            left -= count
            if count == 0 or left <= 0 or not is_open:
                self._close(incarnation, run_of)

    def _read(self, name: str, run_of: RunOf) -> tuple[int, bool]:
        """Read from one; tell how much it was, and whether somebody may still write there."""
        pipe = self._table[name]
        count = 0
        while count < _OF_ONE:
            size = _MUCH if pipe.outlet.is_shut else _SOME
            try:
                data = os.read(pipe.reader, size)
            except BlockingIOError:
                return count, True
            if not data:
                return count, False
            count += len(data)
            pipe.say(pipe.outlet.take(data, clock.mono(), partial(run_of, name)))
            if size == _SOME or len(data) < size:
                break
        return count, True

    def _close(self, name: str, run_of: RunOf) -> None:
        pipe = self._table.pop(name)
        pipe.say(pipe.outlet.end(partial(run_of, name)))
        self._selector.unregister(pipe.reader)
        os.close(pipe.reader)
