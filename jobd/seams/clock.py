"""The only place a clock is read.

Wall time and monotonic time are different types, so that one cannot be taken for the other. Neither
decides anything about jobs: that is Redis' TIME, read inside the scripts.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import NewType

Mono = NewType("Mono", float)
"""Seconds on CLOCK_MONOTONIC: the same for all processes of a host, meaningless elsewhere."""

Wall = NewType("Wall", float)
"""Seconds since 1970, as the host believes."""


def mono() -> Mono:
    """Read the monotonic clock, in seconds."""
    return Mono(time.monotonic())


def since_boot() -> float:
    """Read how long the machine has been up, in seconds, its sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def wall() -> Wall:
    """Read the wall clock, in seconds."""
    return Wall(time.time())


def wall_ms() -> int:
    """Read the wall clock, in whole milliseconds."""
    return time.time_ns() // 1_000_000


def thread_seconds() -> float:
    """Read how long the calling thread has had a processor, in seconds."""
    return time.thread_time()


def local_zone() -> tuple[tuple[str, str], int, int]:
    """Say what the C library takes for the local time zone: its names, and seconds west of UTC."""
    return time.tzname, time.timezone, time.altzone


def read_zone() -> None:
    """Have the C library read the local time zone from the environment again."""
    time.tzset()


def utc(at: float | None = None) -> datetime:
    """Give an aware datetime for `at` (seconds since 1970), or for now."""
    return datetime.now(UTC) if at is None else datetime.fromtimestamp(at, UTC)


def pause(span: float) -> None:
    """Sleep. For back-off between attempts only; waiting is done on something that happens."""
    time.sleep(span)


# The hot path of the worker takes the bare function: a wrapper would cost as much as the call.
monotonic = time.monotonic
