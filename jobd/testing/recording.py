"""`recorded`: adds are written down, and nothing runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jobd.client.app import Jobd
from jobd.testing.added import Added
from jobd.testing.memory import Memory


@contextmanager
def recorded(app: Jobd) -> Iterator[Added]:
    """Write down what is added to an app's queues while the block runs, in all threads.

    Needs no Redis. What adding would refuse is refused; handles answer (`waiting`, `cancel()`).
    """
    memory = Memory(app)
    before = app.producer.divert(memory)
    try:
        yield memory.added
    finally:
        app.producer.divert(before)
