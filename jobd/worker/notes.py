"""What running jobs say of themselves, from when it is said until Redis has it.

    job.progress, job.log ──► Pad ──► Notebook ──► with the settle, or a few times a second before it

A note stays in its pad until a reply says that it was taken in. So it may be on its way twice, with
the settle and before it: the lines of a run are numbered, and what is known already is passed over.
Whatever else happens, no note is sent after its job's settle. Pads are bounded as the record is.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import Any

from jobd.broker.commands import Claimed, Jot
from jobd.broker.notes import MAX_LINES, STEP, write_line, write_progress
from jobd.client.once import Steps

MAX_BYTES = 65_536  # of lines in one pad, as jot.lua keeps them
# In one call, with the log that is there already and is written anew: 300 us for each 64 KiB.
_MAX_CALL = 262_144

# Asks for a step of (job id, claim, name), or records its value: the words of step.lua.
Recorder = Callable[[bytes, int, str, bytes], list[bytes]]


class Pad:
    """One run's notes. Any thread may write. What a run says that lost its job is dropped."""

    __slots__ = (
        "_book", "_bytes", "_first", "_known", "_lines", "_log", "_progress", "_steps", "_version", "claim", "job_id", "stale",
    )  # fmt: skip

    def __init__(
        self, book: Notebook, job_id: bytes, claim: int, known: Collection[str], log: int = 0
    ) -> None:
        """`known` are the steps that were recorded, `log` the bytes of the log that there may be."""
        self.job_id = job_id
        self.claim = claim
        self.stale = False
        self._book = book
        self._known = known
        self._steps: Steps | None = None
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._log = log
        self._first = 0  # the number of the first line that is here
        self._progress = b""
        self._version = 0

    def progress(self, fraction: float, text: str) -> None:
        """Note how far the run is; what was said before and is still here is forgotten."""
        if not self.stale:
            written = write_progress(self._book.now(), self.claim, fraction, text)
            with self._book.lock:
                self._progress = written
            self._book.open_at(self)

    def log(self, text: str) -> None:
        """Note a line."""
        if not self.stale:
            written = write_line(self._book.now(), self.claim, text)
            with self._book.lock:
                self._lines.append(written)
                self._bytes += len(written)
                self._log += len(written)
                while len(self._lines) > MAX_LINES or self._bytes > MAX_BYTES:
                    self._drop()
            self._book.open_at(self)

    @property
    def steps(self) -> Steps:
        """The run's steps."""
        with self._book.lock:
            if self._steps is None:
                self._steps = Steps(
                    self.job_id.decode("utf-8", "replace"),
                    lambda name, value: self._book.record(self.job_id, self.claim, name, value),
                    self._known,
                )
            return self._steps

    @property
    def weight(self) -> int:
        """How many bytes are written for what is here: what is new, and the log that it is added to."""
        log = min(self._log, MAX_BYTES) if self._lines else 0
        return self._bytes + len(self._progress) + log

    def spell(self) -> Jot:
        """Give everything that is here. Called with the book's lock held."""
        self._version += 1
        return Jot(
            self.job_id, self.claim, self._version, self._progress, self._first, list(self._lines)
        )

    def heard(self, jot: Jot) -> bool:
        """Drop what was taken in; say whether that was all. Called with the book's lock held."""
        while self._lines and self._first < jot.first + len(jot.lines):
            self._drop()
        if self._progress is jot.progress:
            self._progress = b""
        return not (self._lines or self._progress)

    def _drop(self) -> None:
        self._bytes -= len(self._lines.popleft())
        self._first += 1


class Notebook:
    """The pads of one worker that hold something. `on_first` is called when the first of them does."""

    def __init__(self, now: Callable[[], int]) -> None:
        """`now` tells Redis' time, in ms."""
        self.now = now
        self.lock = threading.Lock()
        self.record: Recorder = _nowhere
        self.on_first: Callable[[], None] = _nobody
        self._open: dict[tuple[bytes, int], Pad] = {}

    def pad(self, job: Claimed) -> Pad:
        """Give a run something to write on."""
        known: Collection[str] = ()
        log = 0
        if job.more:
            log = MAX_BYTES if b"~log" in job.more else 0
            names = (name.decode("utf-8", "replace") for name in job.more)
            known = {name.removeprefix(STEP) for name in names if name.startswith(STEP)}
        return Pad(self, job.id, job.claim, known, log)

    def open_at(self, pad: Pad) -> None:
        """Hear that there is something in a pad."""
        with self.lock:
            first = not self._open
            self._open[pad.job_id, pad.claim] = pad
        if first:
            self.on_first()

    def spell(self, of: Iterable[tuple[bytes, int]] | None = None) -> list[list[Jot]]:
        """Give what is not known to be taken in, in calls that hold nobody up.

        `of` names runs by job and claim; without it, that of all.
        """
        if not self.holds_some:  # looked at with each settle: nobody wrote anything, as a rule
            return []
        calls: list[list[Jot]] = []
        room = 0
        with self.lock:
            opened = self._open
            pads = opened.values() if of is None else [opened[key] for key in of if key in opened]
            jots = [(pad.weight, pad.spell()) for pad in pads]
        for weight, jot in jots:
            if weight > room or not calls:
                calls.append([])
                room = _MAX_CALL
            calls[-1].append(jot)
            room -= weight
        return calls

    def weight(self) -> int:
        """Say how many bytes are written for all that is not known to be taken in."""
        with self.lock:
            return sum(pad.weight for pad in self._open.values())

    def weight_of(self, job_id: bytes, claim: int) -> int:
        """Say it for one run."""
        pad = self._open.get((job_id, claim))
        return 0 if pad is None else pad.weight

    def heard(self, jots: list[Jot], reply: list[Any]) -> None:
        """Take in the answer to one call. Runs that lost their job are not listened to any more."""
        gone = set(reply[1:])
        with self.lock:
            for jot in jots:
                key = (jot.id, jot.claim)
                pad = self._open.get(key)
                if pad is not None and (jot.id in gone or pad.heard(jot)):
                    pad.stale = jot.id in gone
                    del self._open[key]

    @property
    def holds_some(self) -> bool:
        """Whether there is something that Redis may not have."""
        return bool(self._open)

    def forget(self) -> None:
        """Drop everything: the store that gave these jobs is no more."""
        with self.lock:
            self._open.clear()


def _nowhere(job_id: bytes, claim: int, name: str, value: bytes) -> list[bytes]:
    raise RuntimeError(
        f"step {name!r}, {job_id!r}, {claim}, {len(value)} bytes: nobody is there to record it"
    )


def _nobody() -> None:
    pass
