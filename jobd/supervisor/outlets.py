"""The pipes that workers' descriptors 1 and 2 lead to, one for each worker.

Invariants: the writing end goes to the worker alone, with its fork order, and is not kept here; a pipe
is open until the last who could write to it has closed it, or its worker has ended and what it said
last was read. Reading never waits, and takes a bounded time, however much is written. Called by the
loop, which watches the reading ends.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from jobd.core.events import Event
from jobd.supervisor.outlet import Outlet, WhichRun

_CHUNK = 1 << 16
# How much is read before the loop does something else.
_AT_ONCE = 1 << 20


class Outlets:
    """All pipes, by incarnation."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._table: dict[str, tuple[int, Outlet]] = {}

    def open(self, incarnation: str, slot: str) -> tuple[int, int] | None:
        """Make a pipe; give its reading end, to watch, and its writing end, to give away.

        None when there are no descriptors left: its worker then writes where its preloader does.
        """
        try:
            reader, writer = os.pipe2(os.O_CLOEXEC)
        except OSError:
            return None
        os.set_blocking(reader, False)
        self._table[incarnation] = reader, Outlet(slot)
        return reader, writer

    def reader(self, incarnation: str) -> int | None:
        """Give the reading end of a worker's pipe, while it is open."""
        found = self._table.get(incarnation)
        return None if found is None else found[0]

    def read(self, incarnation: str, now: float, run: WhichRun) -> bool:
        """Read what is there and log it; False when nobody can write there any more."""
        found = self._table.get(incarnation)
        if found is None:
            return False
        reader, outlet = found
        left = _AT_ONCE
        while left > 0:
            try:
                data = os.read(reader, _CHUNK)
            except BlockingIOError:
                return True
            if not data:
                return False
            self._say(outlet.take(data, now, run))
            left -= len(data)
            if len(data) < _CHUNK:
                return True
        return True

    def close(self, incarnation: str, run: WhichRun) -> None:
        """Say what is left to say, and close a pipe."""
        found = self._table.pop(incarnation, None)
        if found is not None:
            self._say(found[1].end(run))
            os.close(found[0])

    def _say(self, records: list[Event]) -> None:
        for record in records:
            self._emit(record)
