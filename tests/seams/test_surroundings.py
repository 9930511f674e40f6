"""What a process has that its code can change, and putting it back."""

from __future__ import annotations

import faulthandler
import gc
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from support.forked import forked

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
        go.wait(10)

    threading.Thread(target=lowers, daemon=True).start()
    done.wait(10)


def mess() -> tuple[Any, ...]:
    return (
        os.getcwd(), os.umask(os.umask(0)), dict(os.environb), signal.getsignal(signal.SIGUSR1),
        signal.pthread_sigmask(signal.SIG_BLOCK, ()), resource.getrlimit(resource.RLIMIT_NOFILE),
        {os.getpriority(os.PRIO_PROCESS, int(t)) for t in os.listdir("/proc/self/task")},
        os.sched_getaffinity(0), signal.getitimer(signal.ITIMER_REAL)[0] > 0, gc.isenabled(),
        sys.getrecursionlimit(), sys.gettrace(),
    )  # fmt: skip


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
        surroundings, before = Surroundings(), mess()
        assert surroundings.put_back(ALL_WORDS) == Changes()
        change()
        found = surroundings.put_back(ALL_WORDS)
        return found, mess() == before, surroundings.put_back(ALL_WORDS)

    assert (Changes((word,)), True, Changes()) == forked(child)


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
