"""What Python code prints in a worker, as records of the log with the job's id.

    print, logging, warnings ─► sys.stdout, sys.stderr ─► lines ─► task.output slot=… job=… | text

Invariants: nothing is done for a job that prints nothing; a line is a record as soon as it is whole,
so that no crash takes it along; no lock is held, so neither a signal handler nor a fork in the middle
of a line can hang. What goes past Python's streams comes to the supervisor instead, through descriptors
1 and 2 (jobd.supervisor.outlet).

The streams are made in the preloader before the application is imported, since some of it (a handler of
logging, say) keeps the stream it finds; each worker then makes them its own. A task that puts another
in their place has it until its job has ended (jobd.worker.pristine).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from jobd.broker.commands import Claimed
from jobd.core.events import Event
from jobd.core.output import Allowance, Cutter
from jobd.core.output_events import (
    AppErrorOutput,
    AppOutput,
    OutputDropped,
    Stream,
    TaskErrorOutput,
    TaskOutput,
)
from jobd.seams.clock import monotonic
from jobd.seams.log import Emit
from jobd.worker.streams import LineStream
from jobd.worker.tell import text
from jobd.worker.whose import Whose

# Makes the record of a line that a job has written, or nobody knows who.
Word = Callable[[Stream, Claimed | None, str], Event]


class _Line:
    """The beginning of a line, and whose it is."""

    __slots__ = ("cutter", "job")

    def __init__(self, job: Claimed | None, cutter: Cutter) -> None:
        self.job = job
        self.cutter = cutter


class Output:
    """Standard output and error of one process."""

    def __init__(self, app: str, emit: Emit) -> None:
        """Speak for an application that is being imported, until a worker says otherwise."""
        self.whose = Whose()
        self._word: Word = _AppWord(app)
        self._slot = app
        self._emit = emit
        self._allowance = Allowance()
        self._lines: dict[tuple[Stream, object], _Line] = {}
        self._is_copy = False
        self._stdout = LineStream(self, "stdout")
        self._stderr = LineStream(self, "stderr")

    def install(self) -> None:
        """Become `sys.stdout` and `sys.stderr` of this process and of those that are forked of it."""
        # Kept, for it is what others may have kept; what it holds would come again in each fork.
        self._before = (sys.stdout, sys.stderr)
        sys.stdout.flush()
        sys.stdout = sys.__stdout__ = self._stdout  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = self._stderr  # type: ignore[misc]
        os.register_at_fork(after_in_child=self._in_copy)

    def adopt(self, slot: str, emit: Emit) -> None:
        """Speak for a worker from now on: this process was forked to be one."""
        self._word = _TaskWord(slot)
        self._slot = slot
        self._emit = emit
        self._allowance = Allowance()
        self._lines.clear()
        self._is_copy = False

    def write(self, stream: Stream, data: bytes) -> None:
        """Take in what somebody prints."""
        key, job = self.whose()
        place = (stream, key)
        line = self._lines.get(place)
        if line is None or line.job is not job:
            if line is not None:
                self._end(place)
            line = self._lines[place] = _Line(job, Cutter(self._allowance))
        texts = line.cutter.feed(data, monotonic())
        allowance = self._allowance
        if allowance.dropped and not allowance.shut:
            self._tell(allowance.told())
        for each in texts:
            self._emit(self._word(stream, job, each))

    def flush(self) -> None:
        """Do nothing: whole lines are records already, and half a one is not worth a record.

        A child that a task has forked flushes before it ends, and then it is.
        """
        if self._is_copy:
            self._end_all()

    def sweep(self) -> None:
        """Between jobs: end the lines of those that have ended, and say what was dropped."""
        if self._lines:
            for place, line in list(self._lines.items()):
                if not self._goes_on(line.job):
                    self._end(place)
        if self._allowance.dropped:
            self._allowance.refill(monotonic())
            self._tell(self._allowance.told())

    def end(self) -> None:
        """Say what is left to say: the process ends."""
        self._end_all()
        self._tell(self._allowance.told(now_or_never=True))

    def _goes_on(self, job: Claimed | None) -> bool:
        if job is None:
            return not self.whose.idle()
        return any(lane.running is job for lane in self.whose.lanes)

    def _end_all(self) -> None:
        for place in list(self._lines):
            self._end(place)

    def _end(self, place: tuple[Stream, object]) -> None:
        line = self._lines.pop(place, None)
        if line is not None:
            for each in line.cutter.end():
                self._emit(self._word(place[0], line.job, each))

    def _tell(self, dropped: int) -> None:
        if dropped:
            self._emit(OutputDropped(slot=self._slot, bytes=dropped))

    def _in_copy(self) -> None:
        self._is_copy = True
        # Half a line is the parent's to end.
        self._lines.clear()


class _AppWord:
    def __init__(self, app: str) -> None:
        self._app = app

    def __call__(self, stream: Stream, _job: Claimed | None, line: str) -> Event:
        made = AppErrorOutput if stream == "stderr" else AppOutput
        return made(app=self._app, stream=stream, text=line)


class _TaskWord:
    def __init__(self, slot: str) -> None:
        self._slot = slot

    def __call__(self, stream: Stream, job: Claimed | None, line: str) -> Event:
        made = TaskErrorOutput if stream == "stderr" else TaskOutput
        if job is None:
            return made(slot=self._slot, stream=stream, text=line)
        return made(
            slot=self._slot,
            stream=stream,
            task=text(job.task),
            job=text(job.id),
            token=job.claim,
            text=line,
        )
