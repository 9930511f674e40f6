"""Keeping state.json and the service manager's status line as the fleet is. Called by the loop."""

from __future__ import annotations

import os
from pathlib import Path

from jobd.core.events import StateUnwritten
from jobd.seams import clock, statefile
from jobd.seams.log import Emit
from jobd.seams.systemd import Notifier
from jobd.supervisor import publish
from jobd.supervisor.fleet import Fleet
from jobd.supervisor.statusline import status_line


class StatePaper:
    """Writes what has changed since it last wrote."""

    def __init__(self, runtime_dir: Path, where: Path, *, notifier: Notifier, emit: Emit) -> None:
        self._runtime_dir = runtime_dir
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
            return
        self._written = state
        if state.stopping and (old is None or not old.stopping):
            self._notifier.stopping()
        elif old is not None and state.reloading is not old.reloading and not state.stopping:
            (self._notifier.reloading if state.reloading else self._notifier.ready)()
        try:
            statefile.write(self._runtime_dir, state)
        except OSError as refused:
            # A full disk blinds `jobd status`; supervision goes on, and the next change tries again.
            self._emit(StateUnwritten(why=str(refused)))

    def _say(self, fleet: Fleet) -> None:
        line = status_line(fleet)
        if line != self._line:
            self._line = line
            self._notifier.status(line)
