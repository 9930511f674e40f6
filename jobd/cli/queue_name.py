"""The name of one queue on a command line: what a wrong one is told."""

from __future__ import annotations

from jobd.broker.views import Views
from jobd.core.errors import EX_NOINPUT, JobdError
from jobd.core.names import check_name
from jobd.core.suggest import nearest, one_of


class NoSuchQueue(JobdError):
    """Nobody has added to a queue of that name, or served it."""

    code = "jobd.no_such_queue"
    exit_code = EX_NOINPUT


def known_queue(name: str, views: Views) -> str:
    """Give the name if there is such a queue. Raises OptionError, NoSuchQueue."""
    check_name(name, what="queue")
    known = views.queues()
    if name not in known:
        there = (
            f"one of {one_of(known)}{nearest(name, known)}" if known else "some: there is none yet"
        )
        raise NoSuchQueue(f"queue {name!r}: not known; expected {there}")
    return name
