"""What a process has beneath Python, and C code alone changes: looked at now and then.

A subreaper that is none any more lets what a job leaves behind escape; a worker that nothing is sent to
when its supervisor ends outlives it; a timer of timer_create(2) rings in a job that has not set it. To
look at these costs some 30 us, so it is done a few times a second (jobd.worker.pristine).

Linux only. Where the kernel does not tell of one, that one is not looked at.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from jobd.seams import prctl
from jobd.seams.trait import Trait

_SETTINGS = {
    "subreaper": prctl.SUBREAPER,
    "parent death signal": prctl.DEATH_SIGNAL,
    "dumpable": prctl.DUMPABLE,
    "timer slack": prctl.TIMER_SLACK,
    "no new privileges": prctl.NO_NEW_PRIVILEGES,
}
_OOM_SCORE = "/proc/self/oom_score_adj"
_TIMERS = "/proc/self/timers"


def traits() -> dict[str, Trait]:
    """Record them all, each by what people call it."""
    found = {name: _setting(number) for name, number in _SETTINGS.items()}
    found["oom score"] = Trait(lambda: _read(_OOM_SCORE), lambda then: _write(_OOM_SCORE, then))
    found["root directory"] = root_directory()
    if os.access(_TIMERS, os.R_OK):
        refuse = _refuse("timer_create(2) has left one")
        found["posix timers"] = Trait(lambda: _read(_TIMERS), refuse)
    return found


def root_directory() -> Trait:
    """Record which directory `/` is."""
    return Trait(_root, _refuse("it is another one now"))


def _setting(number: int) -> Trait:
    return Trait(lambda: prctl.read(number), lambda then: prctl.write(number, then))


def _root() -> tuple[int, int]:
    found = os.stat("/")  # noqa: PTH116  half the cost
    return found.st_dev, found.st_ino


def _read(path: str) -> bytes:
    # A file object would cost five times as much.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 4096)
    finally:
        os.close(descriptor)


def _write(path: str, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)


def _refuse(why: str) -> Callable[[Any], None]:
    def refuse(_then: Any) -> None:
        raise PermissionError(why)

    return refuse
