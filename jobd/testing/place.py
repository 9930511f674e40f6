"""Standing in an app's producer's place while a block runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jobd.client.app import Jobd
from jobd.client.instead import Instead


def check_app(app: object, *, what: str) -> None:
    """Raise TypeError for what is no app, such as one of its queues."""
    if not isinstance(app, Jobd):
        raise TypeError(
            f"{what}: {app!r:.80}; expected the jobd.Jobd on which queues and tasks are declared; "
            "pass that, as in recorded(app)"
        )


@contextmanager
def in_place_of_the_producer(app: Jobd, instead: Instead) -> Iterator[None]:
    """Let another take the app's jobs; whoever took them before does so again afterwards."""
    before = app.producer.divert(instead)
    try:
        yield
    finally:
        app.producer.divert(before)
