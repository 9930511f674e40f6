"""What becomes of a child of the supervisor that it has not started: `judge` decides.

Such children are adopted: workers on their way from the preloader, what ended workers have left,
daemons that a task has started, and, where the supervisor is the first process of a container,
whatever else began in there. Pure. Called by jobd.supervisor.children only.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Fate(StrEnum):
    """What is done with one."""

    LEAVE = "leave"
    COLLECT = "collect"  # it has ended: take it off the table of processes
    KILL = "kill"


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """A child nobody has in his books, at one look."""

    zombie: bool
    on_a_page: bool  # the scoreboard names this very process: a worker whose news has not come yet
    marked: bool  # began below this daemon
    cleaning: bool = False  # removes what shared memory its worker has left, and then ends


def judge(child: Unknown, *, marking: bool, first_process: bool) -> Fate:
    """Decide.

    `marking`: whether what begins below this daemon is marked. `first_process`: whether orphans of
    strangers come here too. A worker stands on its page before it can be ours, so whoever is on no
    page is none.
    """
    if child.on_a_page or (child.cleaning and not child.zombie):
        return Fate.LEAVE
    if child.zombie:
        return Fate.COLLECT
    if child.marked or not (marking or first_process):
        return Fate.KILL
    return Fate.LEAVE
