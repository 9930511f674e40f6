"""Pages of jobs: a stretch of one state, filtered, and the cursor that goes on behind it.

A call looks at so many jobs at most, however few of them are wanted; then it gives what it has and a
cursor. So every call is quick, and whoever wants more asks again.
"""

from __future__ import annotations

import msgspec

from jobd.broker.browse_cursor import Cursor, Place, read, write
from jobd.broker.browse_rows import JobRow, Seen, row_of
from jobd.broker.browse_walk import BITE, Walk
from jobd.broker.connection import Client
from jobd.broker.finding import LOOKED_AT, Wanted, is_wanted
from jobd.broker.store import store_ms
from jobd.core.errors import OptionError
from jobd.core.names import check_name
from jobd.core.states import STATES, TERMINAL

MOST_ROWS = 200
MOST_SCANNED = 2000


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some jobs of one state. `next` goes on behind them, and is None at the end.

    `scanned`: how many were looked at for these rows. `total`: how many jobs are in this state, all told;
    None where a filter leaves some out, for nobody has counted those.
    """

    rows: list[JobRow]
    next: str | None
    scanned: int
    total: int | None


class Pager:
    """Pages of one state of one queue. `now` injects a store time in ms for tests."""

    def __init__(
        self, client: Client, namespace: str, queue: str, state: str, *, now: int | None = None
    ) -> None:
        check_name(queue, what="queue")
        if state not in STATES:
            raise OptionError(f"state: {state!r:.40}; expected one of {', '.join(STATES)}")
        self._client = client
        self._now = now
        self._queue = queue
        self._state = state
        self._walk = Walk(client, namespace, queue, state)

    def page(
        self, wanted: Wanted, *, cursor: str | None, limit: int, most: int = MOST_SCANNED
    ) -> Page:
        """Read one page. Raises BrokerError, and OptionError for a cursor or limit that is none."""
        if not 1 <= limit <= MOST_ROWS:
            raise OptionError(f"limit: {limit}; expected 1 to {MOST_ROWS} rows")
        if cursor is None:
            as_of, after = self._time(wanted), None
        else:
            _, as_of, after = msgspec.structs.astuple(read(cursor, self._state))
        return _Reading(self._queue, self._state, wanted, as_of).read(
            self._walk, after, limit, most
        )

    def _time(self, wanted: Wanted) -> int:
        if wanted.older_than_ms is None and wanted.newer_than_ms is None:
            return 0
        return store_ms(self._client) if self._now is None else self._now


class _Reading:
    """One call: what has been found so far."""

    def __init__(self, queue: str, state: str, wanted: Wanted, as_of: int) -> None:
        self._queue = queue
        self._state = state
        self._wanted = wanted
        self._as_of = as_of
        self._has_ended = state in TERMINAL
        self._rows: list[JobRow] = []
        self._scanned = 0

    def read(self, walk: Walk, after: Place | None, limit: int, most: int) -> Page:
        after = after or self._beginning()
        while True:
            # One more than is shown, to know whether there is a next page.
            bite = BITE if self._wanted else limit + 1
            stretch = walk.go(after, min(bite, most - self._scanned))
            for at, seen in enumerate(stretch.jobs):
                if self._is_past(seen):
                    return self._page(None, stretch.size)
                self._take(seen)
                if len(self._rows) == limit:
                    is_end = stretch.is_last and at == len(stretch.jobs) - 1
                    return self._page(None if is_end else seen.place, stretch.size)
            if stretch.is_last:
                return self._page(None, stretch.size)
            after = stretch.jobs[-1].place
            if self._scanned >= most:
                return self._page(after, stretch.size)

    def _take(self, seen: Seen) -> None:
        self._scanned += 1
        ended_at = seen.score if self._has_ended else None
        if not self._wanted or is_wanted(
            self._wanted, seen.record[: len(LOOKED_AT)], ended_at, self._as_of
        ):
            self._rows.append(row_of(self._queue, self._state, seen))

    def _beginning(self) -> Place | None:
        """Where to begin: of what has ended nobody need look at what is too young."""
        age = self._wanted.older_than_ms
        if not self._has_ended or age is None:
            return None
        return Place(b"%d" % (self._as_of - age + 1), b"")

    def _is_past(self, seen: Seen) -> bool:
        """Whether all that follows is too old, as this is: what has ended comes by its age."""
        age = self._wanted.newer_than_ms
        return self._has_ended and age is not None and self._as_of - seen.score > age

    def _page(self, after: Place | None, size: int) -> Page:
        cursor = None if after is None else write(Cursor(self._state, self._as_of, after))
        total = None if self._wanted else size
        return Page(rows=self._rows, next=cursor, scanned=self._scanned, total=total)
