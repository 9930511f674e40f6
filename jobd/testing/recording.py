"""`recorded`: adds are written down, and nothing runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jobd.client.app import Jobd
from jobd.testing.added import Added
from jobd.testing.memory import Memory
from jobd.testing.place import check_app, in_place_of_the_producer


@contextmanager
def recorded(app: Jobd) -> Iterator[Added]:
    """Write down what is added to an app's queues while the block runs, in all threads.

    Needs no Redis. What adding would refuse is refused; handles answer (`waiting`, `cancel()`).
    Raises TypeError for what is no app.
    """
    check_app(app, what="recorded")
    memory = Memory(app)
    with in_place_of_the_producer(app, memory):
        yield memory.added
