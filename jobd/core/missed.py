"""What is to be done about a schedule that is due: which slots become jobs, and which is next.

A slot that nobody could fire within a minute is missed. What is on time always becomes a job, each
slot one; what was missed does so by the schedule's policy:

    skip     not at all
    latest   the last slot, late, when it was missed; then one job stands for all before it
    all      each, at most the latest 100

So a pause in which no daemon ran, or a clock that jumped, makes at most 160 jobs of a schedule.
"""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

from jobd.core.slots import Slots, latest, up_to

POLICIES = ("skip", "latest", "all")
ON_TIME_MS = 60_000
MOST_LATE = 100
MOST_COUNTED = 1000  # of the slots missed: it is told, nothing hangs on it


class Firing(NamedTuple):
    """What a due schedule comes to. `slots` become jobs, the first `late` of them late; `missed`
    were late, run or not. All that lies before `next` is decided on."""

    slots: list[int]
    late: int
    missed: int
    next: int | None


def decide(slots: Slots, *, due: int, now: int, missed: str, floor: int = 0) -> Firing:
    """Decide on the slots from `due` to `now` (both ms); none at or below `floor` fires."""
    start = max(due - 1, floor)
    late_until = now - ON_TIME_MS - 1
    on_time = list(up_to(slots, max(start, late_until), now))
    late: list[int] = []
    count = 0
    if start < late_until:
        count = sum(1 for _ in islice(up_to(slots, start, late_until), MOST_COUNTED))
        if missed == "all":
            late = latest(slots, start, late_until, MOST_LATE)
        elif missed == "latest" and not on_time:
            late = latest(slots, start, late_until, 1)
    return Firing(late + on_time, len(late), count, next(slots.after(max(now, floor)), None))
