"""Hearing of calls that change this process: by standing before the functions that do.

Python can say so by itself (audit hooks), at half a microsecond for every file that is opened, every
`id()` and every log line of the application. This costs 0.1 us, and those calls alone. What calls
the system in another way - C code, names imported from `os` before - is found by looking
(jobd.seams.surroundings).

Used by workers, after their fork: a process that serves nobody's jobs is left alone.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import functools
import os
import resource
import signal
from collections.abc import Callable
from types import ModuleType
from typing import Any

# Whoever calls one of these may have changed what stands before it. `signal.signal` and
# `pthread_sigmask` are Python functions that call those of `_signal`.
TELLING: dict[str, tuple[tuple[ModuleType, str], ...]] = {
    "cwd": ((os, "chdir"), (os, "fchdir")),
    "umask": ((os, "umask"),),
    "environment": ((os, "putenv"), (os, "unsetenv")),
    "signals": (
        (_signal, "signal"),
        (_signal, "pthread_sigmask"),
        (signal, "set_wakeup_fd"),
        (signal, "siginterrupt"),
    ),
    "timers": ((signal, "setitimer"), (signal, "alarm")),
    "limits": ((resource, "setrlimit"), (resource, "prlimit")),
    "priority": ((os, "nice"), (os, "setpriority"), (os, "sched_setaffinity"), (os, "sched_setscheduler"), (os, "sched_setparam")),
    "credentials": tuple(
        (os, name)
        for name in (
            "setuid", "seteuid", "setreuid", "setresuid", "setgid", "setegid", "setregid",
            "setresgid", "setgroups", "initgroups",
        )
    ),
    "root directory": ((os, "chroot"),),
    "descriptors": ((os, "closerange"), (os, "dup2")),
}  # fmt: skip


class Told:
    """What was called since the last look: the words of TELLING."""

    def __init__(self, heard: Callable[[], None]) -> None:
        """`heard` is called at each such call, by the thread that makes it; it must cost nothing."""
        self.words: set[str] = set()
        self._heard = heard
        self._undo: list[tuple[ModuleType, str, Any]] = []

    def listen(self) -> None:
        """Stand before the functions from now on."""
        for word, functions in TELLING.items():
            for module, name in functions:
                if (function := getattr(module, name, None)) is not None:
                    self._undo.append((module, name, function))
                    setattr(module, name, self._telling(word, function))

    def stop(self) -> None:
        """Put the functions back as they were."""
        while self._undo:
            module, name, function = self._undo.pop()
            setattr(module, name, function)

    def take(self) -> set[str]:
        """Give the words, and forget them."""
        words, self.words = self.words, set()
        return words

    def _telling(self, word: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def telling(*args: Any, **kwargs: Any) -> Any:
            self.words.add(word)
            self._heard()
            return function(*args, **kwargs)

        for able in (os.supports_fd, os.supports_dir_fd, os.supports_follow_symlinks):
            if function in able:  # programs ask there what a function can do
                able.add(telling)
        return telling
