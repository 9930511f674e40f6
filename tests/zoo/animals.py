"""The zoo's application: tasks that do to their process what tasks do, on purpose or by mistake.

Read by the tests as text and run by real daemons; each queue is a cage with the same animals in it,
of one executor each. `look` is the visitor: it tells how its process looks to a job.
"""

import ctypes
import decimal
import faulthandler
import gc
import io
import itertools
import locale
import multiprocessing
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from jobd import Jobd

app = Jobd()
HARD = os.environ.get("ZOO_TIMEOUT", "700ms")
MEGABYTES = int(os.environ.get("ZOO_MEGABYTES", "8"))
DIARY = Path(os.environ.get("ZOO_DIARY", "diary"))
kept: list[Any] = []


def _write(name: str) -> None:
    """Leave a line outside of everything: who has begun, in which process, and when."""
    with DIARY.open("a") as diary:
        diary.write(f"{name} {os.getpid()} {time.monotonic()}\n")


# --- what does not end ---


def busy_c_loop() -> None:
    """Never back in the interpreter, but without the GIL every now and then."""
    while True:
        sum(range(10_000_000))


def gil_holder() -> None:
    """One call in C that holds the GIL for hours."""
    sum(itertools.repeat(1, 10**13))


def endless_regex() -> None:
    """Exponential in the length of its text."""
    re.match(r"(a+)+$", "a" * 60 + "b")


def ignores_term() -> None:
    """And everything else that can be ignored."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            continue  # the C library's own; or not in the main thread
    time.sleep(3600)


def blocks_signals() -> None:
    """All of them, for good."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while True:
        time.sleep(3600)


def catches_everything() -> None:
    """What is raised in it is no reason to end."""
    while True:
        try:
            time.sleep(3600)
        except BaseException:
            continue


def fork_bomb() -> None:
    """As many processes as there may be, each of which makes more."""
    while True:
        try:
            os.fork()
        except OSError:
            time.sleep(0.01)


def grows() -> None:
    """2 GB, a piece at a time, as slowly as a leak: somebody else has to say that it is too much."""
    resource.setrlimit(resource.RLIMIT_AS, (2_500_000_000, resource.RLIM_INFINITY))
    for _ in range(200):
        kept.append(b"x" * 10_000_000)
        time.sleep(0.02)


# --- what ends its process ---


def segfault() -> None:
    """Read address 0."""
    ctypes.string_at(0)


def abort() -> None:
    """As an assertion in C does."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.abort()


def exits_0() -> None:
    """Gone, and all is well, it says."""
    os._exit(0)


def exits_76() -> None:
    """With the code of a worker that wants to be replaced."""
    os._exit(76)


# --- what raises, in ways ---


def deep_recursion() -> None:
    """Deeper than the stack, were it not for the interpreter's limit."""
    deep_recursion()


def sys_exit() -> None:
    """Leave the program."""
    sys.exit(3)


def keyboard_interrupt() -> None:
    """As if somebody had pressed ^C."""
    raise KeyboardInterrupt


class Unspeakable(Exception):
    """An error that cannot be written down."""

    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


def unspeakable_error() -> None:
    """Its text raises."""
    raise Unspeakable


def balloon() -> None:
    """2 GB, under a limit of one that it has set itself: the machine is others' too."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1_000_000_000, hard))
    kept.append(bytearray(2_000_000_000))


# --- what ends well and leaves something behind ---


def closes_all() -> None:
    """What a program does that turns itself into a daemon."""
    os.closerange(0, 4096)


def closes_one_by_one() -> None:
    """The same, without a call that could be told of; and opens others in their place."""
    close = os.close
    for number in range(3, 256):
        try:
            close(number)
        except OSError:
            continue
    kept.extend(os.open(os.devnull, os.O_WRONLY) for _ in range(20))


def opens_all() -> None:
    """Leak files, until there are no more to be had."""
    try:
        while True:
            kept.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return


def returns_twice() -> None:
    """Fork, and forget that there are two now."""
    os.fork()


def double_forks() -> None:
    """A daemon in a session of its own, which nobody's child is."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            _write("stray")
            time.sleep(3600)
        os._exit(0)
    os.wait()


def leaves_pool() -> None:
    """A pool that nobody ends, and that is still held."""
    pool = multiprocessing.get_context("fork").Pool(3)
    pool.map(_write, ["stray"] * 3)
    kept.append(pool)


def leaves_program() -> None:
    """A program that goes on, and an object that is gone."""
    program = subprocess.Popen(["sleep", "3600"])
    with DIARY.open("a") as diary:
        diary.write(f"stray {program.pid} {time.monotonic()}\n")


def leaks() -> None:
    """1 MB, each time."""
    kept.append(b"x" * 1_000_000)


def shouts() -> None:
    """More than anybody wants to read."""
    line = b"x" * 999 + b"\n"
    for _ in range(MEGABYTES):
        os.write(1, line * 1000)


def changes_everything() -> None:
    """Whatever of its process a task can change."""
    os.chdir("/")
    os.umask(0o777)
    os.environ["ZOO_LEFT"] = "here"
    os.environ.pop("PATH", None)
    sys.setrecursionlimit(500)
    gc.disable()
    sys.stdout = io.StringIO()
    locale.setlocale(locale.LC_ALL, "C.UTF-8")
    faulthandler.disable()
    decimal.getcontext().prec = 3
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    os.nice(1)
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGALRM, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR2})


def look() -> dict[str, Any]:
    """Tell how this process looks to a job that has just begun in it."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    status = Path("/proc/self/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    return {
        "cwd": os.getcwd(),
        "umask": fields["Umask"],
        "signals": [fields[name] for name in ("SigBlk", "SigIgn", "SigCgt")],
        "handlers": [str(signal.getsignal(n)).split(" at ")[0] for n in (1, 2, 14, 15, 17)],
        "environment": dict(sorted(os.environ.items())),
        "limits": [resource.getrlimit(number) for number in range(16)],
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "timers": [signal.getitimer(timer)[0] > 0 for timer in range(3)],
        "children": children,
        "recursion": sys.getrecursionlimit(),
        "dumps": faulthandler.is_enabled(),
        "collects": gc.isenabled(),
        "streams": [sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__],
        "locale": locale.setlocale(locale.LC_ALL),
        "precision": decimal.getcontext().prec,
        "standard": [os.readlink(f"/proc/self/fd/{fd}") for fd in (1, 2)],
    }


def pid() -> int:
    """Tell who runs this."""
    return os.getpid()


# These have a hard timeout to be killed at; the others have time, however busy the machine is.
ENDLESS: list[Callable[..., Any]] = [
    busy_c_loop, gil_holder, endless_regex, ignores_term, blocks_signals, catches_everything, fork_bomb,
]  # fmt: skip
OTHERS: list[Callable[..., Any]] = [
    segfault, abort, exits_0, exits_76, deep_recursion, sys_exit, keyboard_interrupt,
    unspeakable_error, balloon, closes_all, closes_one_by_one, opens_all, returns_twice, double_forks,
    leaves_pool, leaves_program, leaks, shouts, changes_everything, grows,
]  # fmt: skip


def _announced(animal: Callable[[], Any]) -> Callable[[], Any]:
    @wraps(animal)
    def announced() -> Any:
        _write(animal.__name__)
        return animal()

    return announced


def _on_loop(function: Callable[[], Any]) -> Callable[[], Any]:
    @wraps(function)
    async def on_loop() -> Any:
        return function()

    return on_loop


def cage(name: str, *, is_async: bool = False) -> None:
    """Make a queue with every animal in it."""
    queue = app.queue(name, attempts=1, max_crashes=1, timeout="10m")
    endless = {animal.__name__ for animal in ENDLESS}
    for animal in (*map(_announced, ENDLESS), *map(_announced, OTHERS), look, pid):
        function = _on_loop(animal) if is_async else animal
        queue.task(animal.__name__, timeout=HARD if animal.__name__ in endless else "10m")(function)


for name in os.environ.get("ZOO_CAGES", "").split(","):
    if name:
        cage(name, is_async=name.startswith("async"))
meadow = app.queue("meadow")
meadow.task("pid")(pid)
