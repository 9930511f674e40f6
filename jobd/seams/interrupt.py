"""Raising an exception in a thread that runs somebody else's code."""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Callable
from types import FrameType


class Alarm:
    """The process' one timer: it calls `ring` in the main thread, with the frame it interrupts.

    What `ring` raises comes out of that frame, also out of a system call that waits. Made and set by
    the main thread. It is SIGALRM: whoever else uses that, undoes this.
    """

    def __init__(self, ring: Callable[[FrameType | None], None]) -> None:
        signal.signal(signal.SIGALRM, lambda _number, frame: ring(frame))

    def set(self, seconds: float) -> None:
        """Ring so much later, and not when it was set for before."""
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6))


def is_main_thread() -> bool:
    """Say whether this thread is the one that signals come to."""
    return threading.current_thread() is threading.main_thread()


def raise_in(thread: int, error: type[BaseException]) -> None:
    """Have a thread (by `threading.get_ident`) raise this between two of its bytecodes.

    While it waits in a system call or computes in C it does not hear it: then it comes when that ends.
    """
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))


def take_back(thread: int) -> None:
    """Undo `raise_in`, if it has not been raised yet."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), None)
