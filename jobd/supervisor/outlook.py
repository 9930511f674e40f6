"""Reading the scoreboard: what workers' pages say, as observations. Called by the loop.

Invariant: only pages that were handed out are touched; the file stays as sparse as it was made.
"""

from __future__ import annotations

from collections.abc import Iterable

from jobd.seams import host
from jobd.seams.exits import Exit
from jobd.seams.scoreboard import PageView, Phase, Scoreboard
from jobd.supervisor.fleet import Fleet
from jobd.supervisor.orders import Look, Looked, WorkerExited

# The state of a process is asked for at every n-th look: its span of interest is a lease.
_STATE_EVERY = 4


class Outlook:
    """Looks at the pages of one scoreboard."""

    def __init__(self, board: Scoreboard) -> None:
        self.board = board
        self._turn = 0

    def look(self, fleet: Fleet, now: float) -> Looked:
        """Read the page of every worker that has one, and of forks that were given up."""
        self._turn += 1
        states = self._turn % _STATE_EVERY == 0
        return Looked(tuple(self._looks(_pages(fleet), now, states)))

    def _looks(self, pages: Iterable[tuple[str, int]], now: float, states: bool) -> Iterable[Look]:
        for incarnation, index in pages:
            view = self.board.pages[index].view()
            if view is not None and view.incarnation == incarnation:
                yield _look(view, now, states)

    def last(self, incarnation: str, page: int, how: Exit) -> WorkerExited:
        """Read the page of a worker that has ended."""
        view = self.board.pages[page].view()
        if view is None or view.incarnation != incarnation:
            return WorkerExited(incarnation, how)
        return WorkerExited(
            incarnation,
            how,
            ran=view.ran,
            booted=view.beat > 0 or view.phase > Phase.BOOTING,
            fenced=view.fenced,
            jobs=tuple(cell.job_id for cell in view.cells),
        )


def _pages(fleet: Fleet) -> Iterable[tuple[str, int]]:
    for child in fleet.children.values():
        yield child.incarnation, child.page
    for dead in fleet.dead.values():
        if dead.unborn:
            yield dead.incarnation, dead.page


def _look(view: PageView, now: float, states: bool) -> Look:
    found = host.stat(view.pid) if states and view.pid else None
    return Look(
        incarnation=view.incarnation,
        pid=view.pid,
        joined=view.phase > Phase.BOOTING,
        fenced=view.fenced,
        over=frozenset(
            (c.job_id, c.claim) for c in view.cells if c.condemned or 0 < c.deadline <= now
        ),
        condemned=frozenset((c.job_id, c.claim) for c in view.cells if c.condemned),
        frozen=None if found is None else found.state in ("T", "t"),
        beat=view.beat,
        ran=view.ran,
        busy=len(view.cells),
        cells=view.count,
        asked=view.asked,
    )
