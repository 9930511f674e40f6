"""The alerter's main loop: it hears the supervisor, looks for this host, and sees that the rest goes on.

It waits for nothing but its supervisor's next word: Redis, resolvers and receivers have threads.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Sequence
from typing import Protocol

from jobd.alerter.local import LocalWatch
from jobd.alerter.shared import Shared
from jobd.alerter.sight import Sight
from jobd.seams.clock import mono, wall_ms
from jobd.seams.host import Signals
from jobd.seams.service import BEAT_EVERY, Attendance


class Part(Protocol):
    """Something with a thread: it raises in `check` what has ended it."""

    def start(self) -> None: ...

    def check(self) -> None: ...

    def stop(self, within: float = ...) -> None: ...


class Alerter:
    """Runs until the supervisor says so, or is gone. `parts` are those with threads, `shared` among them."""

    def __init__(
        self,
        *,
        attendance: Attendance,
        signals: Signals,
        watch: LocalWatch,
        shared: Shared,
        sight: Sight,
        parts: Sequence[Part],
        wake: Callable[[], None],
        every: float,
    ) -> None:
        self._attendance = attendance
        self._signals = signals
        self._watch = watch
        self._shared = shared
        self._sight = sight
        self._parts = list(parts)
        self._wake = wake
        self._every = min(every, BEAT_EVERY)

    def run(self) -> None:
        """Go on until the end; whatever ended a part ends this process, which is replaced then."""
        for part in self._parts:
            part.start()
        beat_at = 0.0
        while not self._attendance.closed and not self._signals.take():
            if mono() >= beat_at:
                beat_at = mono() + BEAT_EVERY
                self._attendance.beat()
            self._look()
            for part in self._parts:
                part.check()
            select.select([self._attendance.fileno(), self._signals.fileno()], [], [], self._every)
            self._attendance.hear()
        for part in self._parts:
            part.stop()

    def _look(self) -> None:
        known = self._shared.known
        told = self._watch.look(
            self._sight.unreachable(), wall_ms(), mutes=known.mutes, epoch=known.epoch
        )
        if told:
            self._wake()
