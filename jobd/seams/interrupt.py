"""Raising an exception in a thread that runs somebody else's code."""

from __future__ import annotations

import ctypes
import math
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import ClassVar

# Bound here: in a worker somebody stands before it (jobd.seams.told), who would hear us.
_setitimer = signal.setitimer


class Alarm:
    """The process' one timer: it calls `ring` in the main thread, with the frame it interrupts.

    What `ring` raises comes out of that frame, also out of a system call that waits. Made and set by
    the main thread. It is SIGALRM: a task that uses that undoes this, until it ends.
    """

    ours: ClassVar[Alarm | None] = None
    """The one of this process, if there is one."""

    def __init__(self, ring: Callable[[FrameType | None], None]) -> None:
        self.set_for = math.inf
        """When it will ring, as whoever has set it counts; inf: not at all."""
        self._ring = ring
        self.handler = self._heard
        signal.signal(signal.SIGALRM, self.handler)
        Alarm.ours = self

    def set(self, seconds: float, at: float) -> None:
        """Ring so much later, which is `at`, and not when it was set for before."""
        self.set_for = at
        _setitimer(signal.ITIMER_REAL, max(seconds, 1e-6))

    def rest(self) -> None:
        """Do not ring."""
        if self.set_for != math.inf:
            self.set_for = math.inf
            _setitimer(signal.ITIMER_REAL, 0)

    def _heard(self, _number: int, frame: FrameType | None) -> None:
        self.set_for = math.inf
        self._ring(frame)


def is_main_thread() -> bool:
    """Say whether this thread is the one that signals come to."""
    return threading.current_thread() is threading.main_thread()


def raise_in(thread: int, error: type[BaseException]) -> None:
    """Have a thread (by `threading.get_ident`) raise this between two of its bytecodes.

    While it waits in a system call or computes in C it does not hear it: then it comes when that ends.
    """
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))


def take_back() -> None:
    """Undo `raise_in` for this thread, whether it has been raised or not yet.

    Not by asking for nothing instead: until the next one is raised somewhere, CPython 3.11 and 3.12 would
    go on to look for it at each call and each turn of a loop, and a function that is traced (by a
    debugger, or for its coverage) would look for ever. So another is asked for, which ends here.
    """
    try:
        raise_in(threading.get_ident(), _TakenBack)
        while True:  # it comes between two of these
            pass
    except _TakenBack:
        return


class _TakenBack(BaseException):
    """Stands in for what is not to be raised any more."""
