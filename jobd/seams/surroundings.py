"""What a process has that its code can change: recorded once, and put back when it differs.

One trait for each thing. Some are looked at each time, since looking is all there is to find a change;
others only when somebody was heard to change them (jobd.seams.told): looking at those costs more, or
they are also changed from outside, by an operator's `renice`, and that is to stay. What only C code
changes (jobd.seams.beneath) is looked at when the look is to be a close one.

A trait that cannot be put back says so by OSError or ValueError. Used by jobd.worker.pristine, in the
main thread, while nobody else's code runs in the process.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import faulthandler
import gc
import locale
import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from jobd.seams import beneath
from jobd.seams.clock import local_zone, read_zone
from jobd.seams.interrupt import Alarm
from jobd.seams.trait import Trait

_NUMBERS = tuple(range(1, signal.NSIG))
_LIMITS = range(resource.RLIM_NLIMITS) if hasattr(resource, "RLIM_NLIMITS") else range(16)
_STILL = ((0.0, 0.0),) * 3
_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
# Bound before anybody stands before them: what we do ourselves is not to be told of.
_signal_handler, _sigmask = _signal.signal, _signal.pthread_sigmask
_getitimer, _setitimer, _set_wakeup_fd = (signal.getitimer, signal.setitimer, signal.set_wakeup_fd)
_umask, _fchdir = os.umask, os.fchdir


class Directory(Trait):
    """The working directory itself, whatever it is called by now."""

    def __init__(self) -> None:
        super().__init__(_cwd, lambda _then: _fchdir(self.descriptor))
        self.descriptor = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def restore(self) -> None:
        super().restore()
        self.then = _cwd()  # somebody may have renamed it


class Handlers(Trait):
    """What each signal does. Our own alarm may have come after this was made: it stays."""

    def __init__(self) -> None:
        super().__init__(_handlers, self._set)

    def differs(self) -> bool:
        if not super().differs():
            return False
        if Alarm.ours is not None:
            self.then = tuple(
                Alarm.ours.handler if number == signal.SIGALRM else handler
                for number, handler in zip(_NUMBERS, self.then, strict=True)
            )
        return super().differs()

    @staticmethod
    def _set(then: tuple[Any, ...]) -> None:
        for number, handler in zip(_NUMBERS, then, strict=True):
            if _signal.getsignal(number) != handler:
                if handler is None:
                    raise ValueError(f"signal {number} had a handler that Python does not know")
                _signal_handler(number, handler)


class Environment(Trait):
    """The variables. `os.environ` itself may have been replaced."""

    def __init__(self) -> None:
        self._mapping = os.environ
        super().__init__(lambda: dict(os.environb), self._set)

    def differs(self) -> bool:
        return os.environ is not self._mapping or super().differs()

    def _set(self, then: dict[bytes, bytes]) -> None:
        zone = os.environb.get(b"TZ")
        os.environ = self._mapping  # noqa: B003  the very object: others hold it
        for name in os.environb.keys() - then.keys():
            del os.environb[name]
        for name, value in then.items():
            if os.environb.get(name) != value:
                os.environb[name] = value
        if zone != then.get(b"TZ"):
            read_zone()  # C code reads it when it likes


def _cwd() -> str:
    try:
        return os.getcwd()  # noqa: PTH109  a text is what is compared
    except FileNotFoundError:
        return ""  # somebody has removed it


def _handlers() -> tuple[Any, ...]:
    return tuple(map(_signal.getsignal, _NUMBERS))


def _blocked() -> object:
    return _sigmask(signal.SIG_BLOCK, ())


def _read_umask() -> int:
    mask = _umask(0o077)
    _umask(mask)
    return mask


def _timers() -> bool:
    """Tell whether a timer runs. Ours may be set for a job that has ended: it is not needed any more."""
    if Alarm.ours is not None:
        Alarm.ours.rest()
    return (_getitimer(0), _getitimer(1), _getitimer(2)) != _STILL


def _stop_timers(_then: object) -> None:
    for timer in _TIMERS:
        _setitimer(timer, 0)


def _limits() -> tuple[tuple[int, int], ...]:
    return tuple(map(resource.getrlimit, _LIMITS))


def _set_limits(then: tuple[tuple[int, int], ...]) -> None:
    for number, limit in zip(_LIMITS, then, strict=True):
        if resource.getrlimit(number) != limit:
            _set_limit(number, limit)


def _ids() -> tuple[Any, ...]:
    return os.getresuid(), os.getresgid(), tuple(os.getgroups())


def _refuse(then: tuple[Any, ...]) -> None:
    raise PermissionError(f"it was user and group {then[0][0]}:{then[1][0]}")


def restore_mask() -> None:
    """Block no signal in this thread: each has its own mask, and what it starts inherits that."""
    _sigmask(signal.SIG_SETMASK, ())


class Scheduling(NamedTuple):
    """How a thread is scheduled: nice value, processors, policy, and its real-time priority."""

    nice: int
    processors: frozenset[int]
    policy: int
    priority: int


def _schedulings() -> set[Scheduling]:
    """Tell how this process' threads are scheduled: to the kernel each has its own priority."""
    return {found for thread in _threads() if (found := _scheduling(thread)) is not None}


def _scheduling(thread: int) -> Scheduling | None:
    try:
        return Scheduling(
            os.getpriority(os.PRIO_PROCESS, thread),
            frozenset(os.sched_getaffinity(thread)),
            os.sched_getscheduler(thread),
            os.sched_getparam(thread).sched_priority,
        )
    except ProcessLookupError:
        return None  # it has just ended


def _schedule(then: set[Scheduling]) -> None:
    [wanted] = then
    for thread in _threads():
        found = _scheduling(thread)
        if found is None or found == wanted:
            continue
        _setaffinity(thread, wanted.processors)
        if (found.policy, found.priority) != (wanted.policy, wanted.priority):
            _setscheduler(thread, wanted.policy, os.sched_param(wanted.priority))
        _setpriority(os.PRIO_PROCESS, thread, wanted.nice)


def _threads() -> list[int]:
    return [int(name) for name in os.listdir("/proc/self/task")]  # noqa: PTH208


def _interpreter() -> tuple[Any, ...]:
    return (
        sys.stdin, sys.stdout, sys.stderr, gc.isenabled(), sys.getrecursionlimit(), sys.gettrace(),
        sys.getprofile(), sys.getswitchinterval(), gc.get_threshold(), sys.get_int_max_str_digits(),
        threading.stack_size(), socket.getdefaulttimeout(), logging.root.manager.disable,
    )  # fmt: skip


def _set_interpreter(then: tuple[Any, ...]) -> None:
    sys.stdin, sys.stdout, sys.stderr, collecting, depth, trace, profile, interval, *more = then
    thresholds, digits, stack, patience, silenced = more
    (gc.enable if collecting else gc.disable)()
    sys.setrecursionlimit(depth)
    sys.settrace(trace)
    sys.setprofile(profile)
    sys.setswitchinterval(interval)
    gc.set_threshold(*thresholds)
    sys.set_int_max_str_digits(digits)
    threading.stack_size(stack)
    socket.setdefaulttimeout(patience)
    logging.root.manager.disable = silenced


def _dump_or_not(then: bool) -> None:
    if not then:
        faulthandler.disable()  # else `afterwards` says where to


_set_limit, _setaffinity, _setpriority, _setscheduler = (
    resource.setrlimit, os.sched_setaffinity, os.setpriority, os.sched_setscheduler,
)  # fmt: skip


class Changes(NamedTuple):
    """What differed: what was put back, and what could not be, with the reason."""

    restored: tuple[str, ...] = ()
    lost: tuple[tuple[str, str], ...] = ()


class Surroundings:
    """This process, as it was when this was made."""

    def __init__(self, afterwards: Callable[[], None] = lambda: None) -> None:
        """`afterwards` is called when something was put back: for what is set beside Python's back."""
        self._afterwards = afterwards
        self.directory = Directory()
        # In the order in which they are put back: no timer may ring, no signal come in between.
        self._always: dict[str, Trait] = {
            "timers": Trait(_timers, _stop_timers),
            "signals": Handlers(),
            "blocked signals": Trait(_blocked, lambda then: _sigmask(signal.SIG_SETMASK, then)),
            "wake-up descriptor": Trait(lambda: _set_wakeup_fd(-1), lambda _then: None),
            "umask": Trait(_read_umask, _umask),
            "cwd": self.directory,
            "interpreter": Trait(_interpreter, _set_interpreter),
            "crash dump": Trait(faulthandler.is_enabled, _dump_or_not),
            "locale": Trait(
                lambda: locale.setlocale(locale.LC_ALL),
                lambda then: locale.setlocale(locale.LC_ALL, then),
            ),
        }
        self._told_of: dict[str, Trait] = {
            "environment": Environment(),
            "limits": Trait(_limits, _set_limits),
            "priority": Trait(_schedulings, _schedule),
            "credentials": Trait(_ids, _refuse),
            "root directory": beneath.root_directory(),
        }
        self._beneath: dict[str, Trait] = {}
        # After the environment, which it is read from.
        self._zone = Trait(local_zone, lambda _then: read_zone())

    def settle(self) -> None:
        """Record what lies beneath Python: now nobody but a task will change it any more."""
        self._beneath = beneath.traits()

    def put_back(self, told: Collection[str], *, closely: bool = True) -> Changes:
        """Look at everything, and put back what differs. `told`: words that somebody was heard of;
        `closely`: look also at what lies beneath Python."""
        faulthandler.cancel_dump_traceback_later()  # forgotten, it ends the process in another job
        differing = [each for each in self._always.items() if each[1].differs()]
        if told:
            differing += [
                (name, trait)
                for name, trait in self._told_of.items()
                if name in told and trait.differs()
            ]
        if closely:
            found = dict(differing)
            differing += [
                (name, trait)
                for name, trait in self._beneath.items()
                if name not in found and trait.differs()
            ]
        if self._zone.differs():
            differing.append(("time zone", self._zone))
        if not differing:
            return _NONE
        restored, lost = [], []
        for name, trait in differing:
            try:
                trait.restore()
            except (OSError, ValueError) as refused:
                lost.append((name, str(refused)))
            else:
                restored.append(name)
        try:
            self._afterwards()
        except OSError as refused:
            lost.append(("crash dump", str(refused)))
        return Changes(tuple(restored), tuple(lost))


_NONE = Changes()
