"""What people do to many jobs by hand: one script call for each fifty, a true word for each job.

Called by `Queue` and by jobd.client.operate_many.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

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
    "reschedule": (DELAYED, WAITING),
    "purge": (WAITING, DELAYED, COMPLETED, DEAD, CANCELLED),
}
# A word for a job that nothing was done about: the call would have held Redis for too long.
LATER = "later"
DONE = {
    "cancel": ("cancelled", "asked"),
    "retry": ("retried",),
    "delete": ("deleted",),
    "run-now": ("waiting",),
    "reschedule": ("delayed", "waiting"),
    "purge": ("purged",),
}


class How(NamedTuple):
    """What a verb needs to know: `force` (cancel) ends the process of a job that runs; `due` (reschedule)
    is "" for now, "+N" for N ms from now, "N" for ms since 1970; `state` (purge) is the one that is
    purged, and a job that is in another stays."""

    force: bool = False
    due: str = ""
    state: str = ""


_PLAIN = How()


def carry_out(
    verb: str, store: Store, ids: Iterable[str], how: How = _PLAIN
) -> Iterator[tuple[str, str]]:
    """Do it to each job; give (id, word) as it is done. Raises BrokerError."""
    rest, again = iter(ids), list[str]()
    while bite := [*again, *islice(rest, SMALL_BITE - len(again))]:
        words = list(zip(bite, _one_call(verb, store, bite, how), strict=True))
        again = [job_id for job_id, word in words if word == LATER]
        yield from (pair for pair in words if pair[1] != LATER)


def _one_call(verb: str, store: Store, ids: list[str], how: How) -> list[str]:
    match verb:
        case "cancel":
            return store.cancel(ids, force=how.force)
        case "retry":
            return store.retry(ids)
        case "delete":
            return store.delete(ids)
        case "run-now":
            return store.reschedule(ids, "")
        case "reschedule":
            return store.reschedule(ids, how.due)
        case "purge":
            return store.purge(how.state, ids)
    raise ValueError(f"verb {verb!r}; expected one of {', '.join(VERBS)}")
