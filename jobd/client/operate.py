"""What people do to many jobs by hand: one script call for each fifty, a true word for each job.

Called by `Queue` and by the commands `jobd jobs retry|cancel|delete|run-now`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from jobd.broker.bites import SMALL_BITE
from jobd.broker.store import Store
from jobd.core.states import (
    ACTIVE,
    CANCELLED,
    COMPLETED,
    DEAD,
    DELAYED,
    WAITING,
)

# What each verb is done to, the usual states first; and the words that say it was done.
VERBS: dict[str, tuple[str, ...]] = {
    "cancel": (WAITING, DELAYED, ACTIVE),
    "retry": (DEAD, CANCELLED),
    "delete": (DEAD, CANCELLED, COMPLETED),
    "run-now": (DELAYED,),
}
# A word for a job that nothing was done about: the call would have held Redis for too long.
LATER = "later"
DONE = {
    "cancel": ("cancelled", "asked"),
    "retry": ("retried",),
    "delete": ("deleted",),
    "run-now": ("waiting",),
}


def carry_out(
    verb: str, store: Store, ids: Iterable[str], *, force: bool = False
) -> Iterator[tuple[str, str]]:
    """Do it to each job; give (id, word) as it is done. Raises BrokerError."""
    rest, again = iter(ids), list[str]()
    while bite := [*again, *islice(rest, SMALL_BITE - len(again))]:
        words = list(zip(bite, _one_call(verb, store, bite, force=force), strict=True))
        again = [job_id for job_id, word in words if word == LATER]
        yield from (pair for pair in words if pair[1] != LATER)


def bites(ids: Iterable[str]) -> Iterator[list[str]]:
    """Cut ids into what one call may carry."""
    rest = iter(ids)
    while bite := list(islice(rest, SMALL_BITE)):
        yield bite


def _one_call(verb: str, store: Store, ids: list[str], *, force: bool) -> list[str]:
    match verb:
        case "cancel":
            return store.cancel(ids, force=force)
        case "retry":
            return store.retry(ids)
        case "delete":
            return store.delete(ids)
        case "run-now":
            return store.reschedule(ids, "")
    raise ValueError(f"verb {verb!r}; expected one of {', '.join(VERBS)}")
