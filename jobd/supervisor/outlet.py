"""What comes out of one child's descriptors 1 and 2, as records. Bytes in, events out: no I/O here.

C libraries, subprocesses, and a crash that Python no longer has a word in write there; what Python
itself prints are records before they get here (jobd.worker.output). Who wrote a line is not known, only
which job runs there when it is read. Called by jobd.supervisor.outlets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from jobd.core.events import Event
from jobd.core.output import LAST_WORDS, Allowance, Cutter
from jobd.core.output_events import HelperOutput, OutputDropped, TaskErrorOutput


class Run(NamedTuple):
    """The one job that runs in a worker."""

    job: str
    task: str
    token: int | None = None


def no_run() -> Run | None:
    """Tell of none."""
    return None


WhichRun = Callable[[], Run | None]
"""Tells which job runs there now; asked only when there is something to log."""


Word = Callable[[str, Run | None], Event]
"""Makes the record of a line."""


def of_worker(slot: str) -> Word:
    """Word what is written in a worker."""

    def word(line: str, run: Run | None) -> Event:
        job, task, token = run or (None, None, None)
        return TaskErrorOutput(slot=slot, stream="fd", task=task, job=job, token=token, text=line)

    return word


def of_helper(name: str) -> Word:
    """Word what is written in a helper."""
    return lambda line, _run: HelperOutput(helper=name, text=line)


class Outlet:
    """One process'."""

    def __init__(self, name: str, word: Word) -> None:
        self._name = name
        self._word = word
        self._allowance = Allowance()
        self._cutter = Cutter(self._allowance, remembers=LAST_WORDS)

    def take(self, data: bytes, now: float, run: WhichRun) -> list[Event]:
        """Take in what was read; give the records it makes."""
        return self._records(self._cutter.feed(data, now), self._allowance.told(), run)

    @property
    def is_shut(self) -> bool:
        """Whether what comes next is dropped."""
        return self._allowance.shut

    @property
    def owes(self) -> bool:
        """Whether something was dropped that was not told yet."""
        return self._allowance.dropped > 0

    def pause(self, now: float) -> list[Event]:
        """Say what was dropped, if that is over: nothing may follow for long."""
        self._allowance.refill(now)
        return self._records([], self._allowance.told(), no_run)

    def end(self, run: WhichRun) -> list[Event]:
        """Give what is left to say: nobody writes any more."""
        lines = self._cutter.last_words()
        return self._records(lines, self._allowance.told(now_or_never=True), run)

    def _records(self, lines: list[str], dropped: int, run: WhichRun) -> list[Event]:
        made: list[Event] = []
        if dropped:
            self._cutter.forget()
            made.append(OutputDropped(slot=self._name, bytes=dropped))
        known = run() if lines else None
        return made + [self._word(line, known) for line in lines]
