"""Soft deadlines: SoftTimeout is raised in the task itself, which may clean up, or go on.

Where Python allows it. In the main thread a timer interrupts whatever the task does, also a wait; in
another thread it comes between two bytecodes, so after the wait or the computation in C that is under
way; an async task is cancelled at its `await`, as by asyncio.timeout. What does not hear it ends at its
hard timeout, with its process. Tasks without a soft deadline pay one look at their policy.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, Protocol

from jobd.core.errors import SoftTimeout
from jobd.seams.clock import monotonic
from jobd.seams.interrupt import Alarm, is_main_thread, raise_in, take_back

# The alarm came in between, where nothing may be raised: look again.
_SOON = 0.001


class Deadline(Protocol):
    """Calls a function of one lane, and interrupts it at a time of our monotonic clock."""

    def call(self, at: float, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Call it; give what it returns. Raises what it raises, and SoftTimeout."""


def make_deadline(watch: ThreadWatch) -> Deadline:
    """Make the kind that works in this thread."""
    return MainDeadline() if watch.alarms and is_main_thread() else ThreadDeadline(watch)


async def call_async(at: float, coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Await a task's coroutine until `at`, on the clock of the event loop, which is ours."""
    try:
        async with asyncio.timeout_at(at) as limit:
            return await coroutine
    except TimeoutError as error:
        if limit.expired():
            raise SoftTimeout from error
        raise


class MainDeadline:
    """Of the main thread. One alarm is set at a time, for the nearest deadline or sooner."""

    def __init__(self) -> None:
        self._at = 0.0
        self._alarm = Alarm(self._ring)

    def call(self, at: float, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        self._at = at
        if at < self._alarm.set_for:
            self._set(at)
        try:
            return function(*args, **kwargs)
        finally:
            self._at = 0.0  # the alarm may stay set: a batch of quick jobs needs no more than one

    def _set(self, at: float) -> None:
        self._alarm.set(at - monotonic(), at)

    def _ring(self, frame: FrameType | None) -> None:
        if not self._at:
            return
        if monotonic() < self._at:
            self._set(self._at)
        elif frame is None or frame.f_code is _CALL:
            self._set(monotonic() + _SOON)  # the task has just ended, or not begun
        else:
            self._at = 0.0
            raise SoftTimeout


_CALL = MainDeadline.call.__code__


class ThreadDeadline:
    """Of any other thread. The watching thread raises, this one sees to it that it hits no other job."""

    def __init__(self, watch: ThreadWatch) -> None:
        self.at = 0.0
        self._watch = watch
        self._lock = threading.Lock()
        self._thread = 0
        self._raised = False

    def call(self, at: float, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        self._thread = threading.get_ident()
        self.at = at
        self._watch.expect(self)
        try:
            return function(*args, **kwargs)
        finally:
            # Raised here it comes after the task: that has ended as it has. It comes once at most.
            try:
                self._disarm()
            except SoftTimeout:
                self._disarm()

    def look(self, now: float) -> float:
        """Raise, if it is time; give when to look again."""
        with self._lock:
            if self.at and now >= self.at:
                self.at = 0.0
                self._raised = True
                raise_in(self._thread, SoftTimeout)
            return self.at or math.inf

    def _disarm(self) -> None:
        with self._lock:
            self.at = 0.0
        if self._raised:
            take_back()
            self._raised = False


class ThreadWatch:
    """The watching thread of one worker: it begins with a soft deadline, and ends where there is none."""

    def __init__(self, *, alarms: bool = True) -> None:
        """`alarms`: the main thread has no need of us, SIGALRM is ours to use."""
        self.alarms = alarms
        self._deadlines: list[ThreadDeadline] = []
        self._lock = threading.Lock()
        self._heard = threading.Event()
        self._next = math.inf
        self._thread: threading.Thread | None = None

    def expect(self, deadline: ThreadDeadline) -> None:
        """Keep an eye on a deadline that was just set."""
        with self._lock:
            if deadline not in self._deadlines:
                self._deadlines.append(deadline)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="jobd-soft", daemon=True)
                self._thread.start()
        if deadline.at < self._next:
            self._heard.set()

    def _run(self) -> None:
        while True:
            self._heard.clear()
            self._next = math.inf  # what is set from here on wakes us
            now = monotonic()
            following = self._look(now)
            if following == math.inf:
                if self._is_over(now):
                    return
                continue
            self._next = following
            self._heard.wait(max(0.0, following - now))

    def _look(self, now: float) -> float:
        return min(deadline.look(now) for deadline in list(self._deadlines))

    def _is_over(self, now: float) -> bool:
        """Whether nothing is set. Who sets one from here on finds no thread, and starts another."""
        with self._lock:
            if self._look(now) < math.inf:
                return False
            self._thread = None
            return True
