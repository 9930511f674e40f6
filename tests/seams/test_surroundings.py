"""What a process has that its code can change, and putting it back."""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import logging
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.forked import forked

from jobd.seams import prctl
from jobd.seams.interrupt import Alarm
from jobd.seams.surroundings import Changes, Surroundings
from jobd.seams.told import TELLING, Told

ALL_WORDS = set(TELLING)


def change_signals() -> None:
    signal.signal(signal.SIGUSR1, lambda *_: None)


def change_mask() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def change_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))


def change_environment() -> None:
    os.environ["JOBD_TEST_LEFT"] = "1"
    del os.environ["PATH"]


def replace_environment() -> None:
    os.environ = {}  # noqa: B003  on purpose


def change_thread_priority() -> None:
    done, go = threading.Event(), threading.Event()

    def lowers() -> None:
        os.nice(1)  # the kernel's threads have a priority each
        done.set()
        go.wait(30)

    threading.Thread(target=lowers, daemon=True).start()
    done.wait(30)


def change_zone() -> None:
    os.environ["TZ"] = "Asia/Tokyo"
    time.tzset()


def time_zone_alone() -> None:
    """What C code has read from the environment stays when the variable is as it was."""
    change_zone()
    del os.environ["TZ"]


def be_idle() -> None:
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def leave_a_timer() -> None:
    """As timer_create(2) does for SIGTERM, in an hour."""
    library = ctypes.CDLL("librt.so.1", use_errno=True)
    event = (ctypes.c_int * 16)()
    event[2] = signal.SIGTERM
    timer = ctypes.c_void_p()
    assert library.timer_create(1, event, ctypes.byref(timer)) == 0
    assert library.timer_settime(timer, 0, (ctypes.c_long * 4)(0, 0, 3600, 0), None) == 0


def mess() -> tuple[Any, ...]:
    return (
        os.getcwd(), os.umask(os.umask(0)), dict(os.environb), signal.getsignal(signal.SIGUSR1),
        signal.pthread_sigmask(signal.SIG_BLOCK, ()), resource.getrlimit(resource.RLIMIT_NOFILE),
        {os.getpriority(os.PRIO_PROCESS, int(t)) for t in os.listdir("/proc/self/task")},
        os.sched_getaffinity(0), signal.getitimer(signal.ITIMER_REAL)[0] > 0, gc.isenabled(),
        sys.getrecursionlimit(), sys.gettrace(), gc.get_threshold(), sys.get_int_max_str_digits(),
        threading.stack_size(), socket.getdefaulttimeout(), logging.root.manager.disable, time.tzname,
        time.localtime(0), os.sched_getscheduler(0), [prctl.read(each) for each in PRCTLS],
        Path("/proc/self/oom_score_adj").read_text(),
    )  # fmt: skip


PRCTLS = (prctl.SUBREAPER, prctl.DEATH_SIGNAL, prctl.DUMPABLE, prctl.TIMER_SLACK)


CHANGES: dict[str, tuple[str, Callable[[], Any]]] = {
    "cwd": ("cwd", lambda: os.chdir("/")),
    "umask": ("umask", lambda: os.umask(0o7)),
    "handler": ("signals", change_signals),
    "mask": ("blocked signals", change_mask),
    "timer": ("timers", lambda: signal.setitimer(signal.ITIMER_REAL, 100)),
    "alarm": ("timers", lambda: signal.alarm(100)),
    "limit": ("limits", change_limit),
    "variables": ("environment", change_environment),
    "other variables": ("environment", replace_environment),
    "priority": ("priority", lambda: os.nice(1)),
    "a thread's priority": ("priority", change_thread_priority),
    "processors": ("priority", lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})),
    "collector": ("interpreter", gc.disable),
    "collector's thresholds": ("interpreter", lambda: gc.set_threshold(1)),
    "digits": ("interpreter", lambda: sys.set_int_max_str_digits(0)),
    "stacks of threads": ("interpreter", lambda: threading.stack_size(1 << 20)),
    "patience of sockets": ("interpreter", lambda: socket.setdefaulttimeout(0.001)),
    "silenced logs": ("interpreter", lambda: logging.disable(logging.CRITICAL)),
    "time zone": ("time zone", time_zone_alone),
    "policy": ("priority", be_idle),
    "subreaper": ("subreaper", lambda: prctl.write(prctl.SUBREAPER, 1)),
    "death signal": ("parent death signal", lambda: prctl.write(prctl.DEATH_SIGNAL, 15)),
    "dumpable": ("dumpable", lambda: prctl.write(prctl.DUMPABLE, 0)),
    "timer slack": ("timer slack", lambda: prctl.write(prctl.TIMER_SLACK, 10**9)),
    "oom score": ("oom score", lambda: Path("/proc/self/oom_score_adj").write_text("500")),
    "recursion": ("interpreter", lambda: sys.setrecursionlimit(5000)),
}


@pytest.mark.parametrize("case", CHANGES)
def test_what_was_changed_is_put_back(case: str) -> None:
    """Each thing by its name; a second look finds nothing."""
    word, change = CHANGES[case]
    if case == "processors" and len(os.sched_getaffinity(0)) == 1:
        pytest.skip("one processor")

    def child() -> tuple[Changes, bool, Changes]:
        os.chdir("/usr")
        os.environ.pop("TZ", None)
        time.tzset()
        surroundings, before = Surroundings(), mess()
        surroundings.settle()
        assert surroundings.put_back(ALL_WORDS) == Changes()
        change()
        found = surroundings.put_back(ALL_WORDS)
        return found, mess() == before, surroundings.put_back(ALL_WORDS)

    assert (Changes((word,)), True, Changes()) == forked(child)


def test_the_time_zone_follows_the_environment() -> None:
    """The variable alone would leave the C library, and so Python, where the job was."""

    def child() -> tuple[set[str], bool]:
        surroundings, before = Surroundings(), mess()
        surroundings.settle()
        change_zone()
        return set(surroundings.put_back(ALL_WORDS).restored), mess() == before

    assert forked(child) == ({"environment", "time zone"}, True)


def test_what_lies_beneath_is_seen_by_a_close_look_alone() -> None:
    def child() -> tuple[Changes, Changes]:
        surroundings = Surroundings()
        surroundings.settle()
        prctl.write(prctl.SUBREAPER, 1)
        return surroundings.put_back(set(), closely=False), surroundings.put_back(set())

    assert forked(child) == (Changes(), Changes(("subreaper",)))


def test_a_timer_that_python_cannot_stop_is_told() -> None:
    def child() -> Changes:
        surroundings = Surroundings()
        surroundings.settle()
        leave_a_timer()
        return surroundings.put_back(set())

    assert dict(forked(child).lost) == {"posix timers": "timer_create(2) has left one"}


@pytest.mark.skipif(os.getuid() != 0, reason="only root may change its root directory")
def test_another_root_directory_is_told(tmp_path: Path) -> None:
    """Whoever has gone there may see no /proc any more: that is an error of the look itself."""
    (tmp_path / "proc").symlink_to("/proc")

    def child() -> str:
        surroundings = Surroundings()
        surroundings.settle()
        os.chroot(tmp_path)
        try:
            return str(surroundings.put_back(set()).lost)
        except OSError as error:
            return f"no look: {error}"

    assert "root directory" in (found := forked(child)) or "no look" in found


def test_what_is_changed_from_outside_as_well_is_left_unless_somebody_was_heard() -> None:
    """An operator's renice is not a task's."""

    def child() -> tuple[Changes, int]:
        surroundings = Surroundings()
        before = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, 0, before + 1)
        return surroundings.put_back(set()), os.getpriority(os.PRIO_PROCESS, 0) - before

    assert (Changes(), 1) == forked(child)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become nobody")
def test_what_cannot_be_put_back_is_told_with_the_reason() -> None:
    """Nobody may raise a hard limit again, or become root."""

    def child() -> Changes:
        surroundings = Surroundings()
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
        return surroundings.put_back(ALL_WORDS)

    found = forked(child)
    assert {name for name, _ in found.lost} == {"limits", "credentials"}
    assert "not allowed to raise maximum limit" in dict(found.lost)["limits"]


def test_our_own_alarm_stays_ours() -> None:
    """A handler that a task has put in its place goes; ours, which came later than the record, stays."""

    def child() -> tuple[bool, Changes, bool]:
        surroundings = Surroundings()
        alarm = Alarm(lambda _frame: None)
        alarm.set(100, 100.0)
        first = surroundings.put_back(set())
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        second = surroundings.put_back(set())
        return first == Changes(), second, signal.getsignal(signal.SIGALRM) == alarm.handler

    assert (True, Changes(("signals",)), True) == forked(child)


def test_a_directory_that_was_renamed_is_still_the_one() -> None:
    """A deployment moves what we stand in; going back by name would lead elsewhere."""

    def child() -> tuple[str, Changes]:
        top = f"/tmp/jobd-test-{os.getpid()}"
        os.makedirs(top + "/a")
        os.chdir(top + "/a")
        surroundings = Surroundings()
        os.rename(top + "/a", top + "/b")
        os.mkdir(top + "/a")
        os.chdir("/")
        surroundings.put_back(set())
        here = os.getcwd().removeprefix(top)
        again = surroundings.put_back(set())
        for name in ("/a", "/b", ""):
            os.rmdir(top + name)
        return here, again

    assert ("/b", Changes()) == forked(child)


def test_a_dump_that_somebody_forgot_does_not_come() -> None:
    """`dump_traceback_later(exit=True)` would end the process in the middle of another job."""

    def child() -> str:
        surroundings = Surroundings()
        faulthandler.dump_traceback_later(0.2, exit=True)
        surroundings.put_back(set())
        threading.Event().wait(0.4)
        return "here"

    assert forked(child) == "here"


def test_whoever_changes_something_is_heard() -> None:
    """Each call says its word, and still does what it did; afterwards all is as it was."""

    def child() -> tuple[list[str], bool, bool]:
        heard: list[str] = []
        before = (os.chdir, signal.setitimer, resource.setrlimit)
        told = Told(lambda: heard.append("!"))
        told.listen()
        os.chdir("/")
        assert os.getcwd() == "/"
        os.environ["A"] = "b"
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        assert signal.getsignal(signal.SIGUSR1) == signal.SIG_IGN
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        words = sorted(told.take())
        able = os.chdir in os.supports_fd
        told.stop()
        return words, able, before == (os.chdir, signal.setitimer, resource.setrlimit)

    assert forked(child) == (["cwd", "environment", "limits", "signals"], True, True)
