"""Keeping state.json and the service manager's status line as the fleet is. Called by the loop.

Invariant: while the file cannot be written - a full disk - the scoreboard says since when, so nobody
takes what it tells for how things are; it is tried again every second, and said every minute.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from jobd.core.events import StateUnwritten, StateWritten
from jobd.seams import clock, statefile
from jobd.seams.log import Emit
from jobd.seams.scoreboard import Scoreboard
from jobd.seams.systemd import Notifier
from jobd.supervisor import publish
from jobd.supervisor.fleet import Fleet
from jobd.supervisor.statusline import status_line

_TRY_EVERY = 1.0
_SAY_EVERY = 60.0


class StatePaper:
    """Writes what has changed since it last wrote."""

    def __init__(
        self,
        runtime_dir: Path,
        where: Path,
        board: Scoreboard,
        *,
        notifier: Notifier,
        emit: Emit,
        now: Callable[[], float] = clock.mono,
    ) -> None:
        self._runtime_dir = runtime_dir
        self._board = board
        self._now = now
        self._stale_since: float | None = None
        self._try_at = 0.0
        self._say_at = 0.0
        self._where = str(where)
        self._notifier = notifier
        self._emit = emit
        self._started_at = clock.wall()
        self._epoch = self._started_at - clock.mono()
        self._written: statefile.State | None = None
        self._line = ""

    def write(self, fleet: Fleet) -> None:
        """Bring file and status line up to date."""
        self._say(fleet)
        state = publish.for_people(
            fleet,
            pid=os.getpid(),
            started_at=self._started_at,
            epoch=self._epoch,
            where=self._where,
        )
        old = self._written
        if state == old:
            self._try_again(state)
            return
        self._written = state
        if state.stopping and (old is None or not old.stopping):
            self._notifier.stopping()
        elif old is not None and state.reloading is not old.reloading and not state.stopping:
            (self._notifier.reloading if state.reloading else self._notifier.ready)()
        self._put(state)

    def _try_again(self, state: statefile.State) -> None:
        if self._stale_since is not None and self._now() >= self._try_at:
            self._put(state)

    def _put(self, state: statefile.State) -> None:
        try:
            statefile.write(self._runtime_dir, state)
        except OSError as refused:
            # A full disk blinds `jobd status`; supervision goes on.
            self._failed(str(refused))
            return
        if self._stale_since is not None:
            self._emit(StateWritten(after=round(self._now() - self._stale_since, 1)))
            self._stale_since = None
            self._board.set_stale(None)

    def _failed(self, why: str) -> None:
        now = self._now()
        if self._stale_since is None:
            self._stale_since = self._say_at = now
            self._board.set_stale(now)
        self._try_at = now + _TRY_EVERY
        if now >= self._say_at:
            self._say_at = now + _SAY_EVERY
            self._emit(StateUnwritten(why=why, since=round(now - self._stale_since, 1)))

    def _say(self, fleet: Fleet) -> None:
        line = status_line(fleet)
        if line != self._line:
            self._line = line
            self._notifier.status(line)
