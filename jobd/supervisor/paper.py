"""Keeping state.json and the service manager's status line as the fleet is. Called by the loop."""

from __future__ import annotations

import os
from pathlib import Path

from jobd.core.events import StateUnwritten
from jobd.seams import clock, statefile
from jobd.seams.log import Emit
from jobd.seams.systemd import Notifier
from jobd.supervisor import publish
from jobd.supervisor.fleet import Fleet, Stage


class StatePaper:
    """Writes what has changed since it last wrote."""

    def __init__(self, runtime_dir: Path, *, notifier: Notifier, emit: Emit) -> None:
        self._runtime_dir = runtime_dir
        self._notifier = notifier
        self._emit = emit
        self._started_at = clock.wall()
        self._epoch = self._started_at - clock.mono()
        self._written: statefile.State | None = None

    def write(self, fleet: Fleet) -> None:
        """Bring file and status line up to date."""
        state = publish.for_people(
            fleet, pid=os.getpid(), started_at=self._started_at, epoch=self._epoch
        )
        old = self._written
        if state == old:
            return
        self._written = state
        if state.stopping and (old is None or not old.stopping):
            self._notifier.stopping()
        elif old is not None and state.reloading is not old.reloading and not state.stopping:
            (self._notifier.reloading if state.reloading else self._notifier.ready)()
        self._notifier.status(_line(fleet, state))
        try:
            statefile.write(self._runtime_dir, state)
        except OSError as refused:
            # A full disk blinds `jobd status`; supervision goes on, and the next change tries again.
            self._emit(StateUnwritten(why=str(refused)))


def _line(fleet: Fleet, state: statefile.State) -> str:
    running = sum(child.stage is Stage.RUNNING for child in fleet.children.values())
    word = "stopping" if state.stopping else "reloading" if state.reloading else "running"
    line = f"{word}: {running} of {len(fleet.slots)} workers"
    gave_up = [name for name, queue in fleet.queues.items() if queue.gave_up]
    return f"{line}; gave up: {', '.join(gave_up)}" if gave_up else line
