"""What was done to the system, and whether it explains what is seen."""

from __future__ import annotations

import threading
import time
from typing import NamedTuple

from chaos.effects import Effect

# A process that is sent SIGKILL may run a little longer on another core; clocks are read around it.
SLACK = 0.05


class Fault(NamedTuple):
    """One fault. `pids` empty: it hit everybody. It lasted from `since` to `until`.

    `repeats` tells whether a job may run again because of it: a broken connection is no reason.
    """

    kind: str
    since: float
    until: float
    pids: frozenset[int]
    repeats: bool


class FaultLog:
    """All faults of a run, in order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.faults: list[Fault] = []

    def note(self, kind: str, *pids: int, since: float | None = None, repeats: bool = True) -> None:
        """Write down a fault that has just been carried out."""
        now = time.monotonic()
        began = now if since is None else since
        with self._lock:
            self.faults.append(Fault(kind, began, now, frozenset(pids), repeats))

    def explains(self, first: Effect, second: Effect) -> bool:
        """Tell whether `second` started because a fault hit the process of `first` in between."""
        with self._lock:
            return any(
                fault.repeats
                and (not fault.pids or first.pid in fault.pids)
                and fault.until >= first.at - SLACK
                and fault.since <= second.at + SLACK
                for fault in self.faults
            )

    def count(self, kind: str) -> int:
        """How many of a kind."""
        return sum(fault.kind == kind for fault in self.faults)
