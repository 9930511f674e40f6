"""The pipes that workers' descriptors 1 and 2 lead to, one for each worker.

Invariants: the writing end goes to the worker alone, with its fork order, and is not kept here; a pipe
is open until the last who could write to it has closed it, or until its worker has ended and what it
said last was read. Reading never waits, and takes a bounded time, however much is written and by how
many. Called by the loop, which watches all of them as one descriptor.
"""

from __future__ import annotations

import fcntl
import os
import selectors
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from jobd.core.events import Event
from jobd.seams import clock
from jobd.supervisor.outlet import Outlet, Run

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


class Outlets:
    """All pipes, by incarnation."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._table: dict[str, tuple[int, Outlet]] = {}
        self._selector = selectors.EpollSelector()
        self._first = 0  # whose turn it is, of those that have something to say

    def fileno(self) -> int:
        """Give the descriptor that is readable when one of them is."""
        return self._selector.fileno()

    def open(self, incarnation: str, slot: str) -> int | None:
        """Make a pipe; give its writing end, to be given away.

        None when there are no descriptors left: its worker then writes where its preloader does.
        """
        try:
            reader, writer = os.pipe2(os.O_CLOEXEC)
        except OSError:
            return None
        os.set_blocking(reader, False)
        with suppress(OSError):
            fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, _SIZE)
        self._table[incarnation] = reader, Outlet(slot)
        self._selector.register(reader, selectors.EVENT_READ, incarnation)
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
        for _, outlet in self._table.values():
            if outlet.owes:
                self._say(outlet.pause(now))

    def end(self, incarnation: str, run_of: RunOf) -> None:
        """Log the last words of a worker that has ended. What it left running is not heard any more."""
        left = _SIZE
        while incarnation in self._table:
            count, is_open = self._read(incarnation, run_of)
            left -= count
            if count == 0 or left <= 0 or not is_open:
                self._close(incarnation, run_of)

    def _read(self, incarnation: str, run_of: RunOf) -> tuple[int, bool]:
        """Read from one; tell how much it was, and whether somebody may still write there."""
        reader, outlet = self._table[incarnation]
        count = 0
        while count < _OF_ONE:
            size = _MUCH if outlet.is_shut else _SOME
            try:
                data = os.read(reader, size)
            except BlockingIOError:
                return count, True
            if not data:
                return count, False
            count += len(data)
            self._say(outlet.take(data, clock.mono(), partial(run_of, incarnation)))
            if size == _SOME or len(data) < size:
                break
        return count, True

    def _close(self, incarnation: str, run_of: RunOf) -> None:
        reader, outlet = self._table.pop(incarnation)
        self._say(outlet.end(partial(run_of, incarnation)))
        self._selector.unregister(reader)
        os.close(reader)

    def _say(self, records: list[Event]) -> None:
        for record in records:
            self._emit(record)
