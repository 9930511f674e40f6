"""What a test begins in this process ends with it: else it writes into the Redis of the next, which is
flushed, or is heard in its log, and another test fails than the one at fault.

Invariant: a test that is over has no thread. Fixtures say so by waiting for the ends of what they began;
this waits for the rest, and fails the test that has begun what does not end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

WITHIN = 60.0
# The browser's driver is waited for by one that lives as long as it.
KEPT = ("asyncio-waitpid-",)


@contextmanager
def ending() -> Iterator[None]:
    """Wait for the ends of the threads that are begun within. Fails where one does not end."""
    before = set(threading.enumerate())
    yield
    until = time.monotonic() + WITHIN
    for thread in _others(before):
        thread.join(max(0.0, until - time.monotonic()))
    left = [thread.name for thread in _others(before)]
    assert not left, f"threads that go on behind the test that began them: {', '.join(left)}"


def _others(before: set[threading.Thread]) -> list[threading.Thread]:
    return [
        thread
        for thread in threading.enumerate()
        if thread not in before and not thread.name.startswith(KEPT)
    ]
