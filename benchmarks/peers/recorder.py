"""The four tasks of the suite, the same for every Python system. Registered by the *_app modules.

Invariant: a job that carries no mark does nothing but the task itself; marks are appended to the
file named by BENCH_STAMPS as ``[user_id, instant, extra]``, one write a line.
"""

import json
import os
import time

FIRST = -1
LAST = -2
LONG = -3
EMAIL = "user123456@example.com"

_napped = 0.0


def stamp(user_id: int, at: float, extra: float) -> None:
    handle = os.open(os.environ["BENCH_STAMPS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(handle, json.dumps([user_id, at, extra]).encode() + b"\n")
    os.close(handle)


def noop(user_id: int, email: str) -> None:  # noqa: ARG001  part of the payload
    """Does nothing; a negative user_id is a mark."""
    if user_id < 0:
        stamp(user_id, time.monotonic(), 0.0)


def nap(user_id: int, email: str, seconds: float) -> None:  # noqa: ARG001
    """Sleeps. The mark of the last one carries the task time since the first, both included."""
    global _napped  # noqa: PLW0603  one worker process, one task at a time: a sum is all there is
    begun = time.monotonic()
    time.sleep(seconds)
    ended = time.monotonic()
    if user_id == FIRST:
        _napped = 0.0
        stamp(user_id, begun, 0.0)
    _napped += ended - begun
    if user_id == LAST:
        stamp(user_id, ended, _napped)


def timed(user_id: int, email: str, sent: float) -> None:  # noqa: ARG001
    """Marks when it started, beside the instant it was sent."""
    stamp(user_id, time.monotonic(), sent)


def mixed(user_id: int, email: str, seconds: float, sent: float) -> None:  # noqa: ARG001
    """Marks when it started, beside the instant it was sent; then sleeps."""
    stamp(user_id, time.monotonic(), sent)
    time.sleep(seconds)


TASKS = {"noop": noop, "nap": nap, "timed": timed, "mixed": mixed}
