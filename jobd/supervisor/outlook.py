"""Reading what workers' pages and processes say, as observations. Called by the loop.

Invariant: only pages that were handed out are touched; the file stays as sparse as it was made.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable

from jobd.seams import host, memory
from jobd.seams.cgroups import OomKills
from jobd.seams.exits import Exit
from jobd.seams.scoreboard import Scoreboard
from jobd.seams.scoreboard_views import PageView, Phase
from jobd.supervisor.fleet import Child, Fleet
from jobd.supervisor.growth import Grown
from jobd.supervisor.memory import NOT_READ, SHOWN_EVERY, Reading, is_due
from jobd.supervisor.orders import Look, Looked, WorkerExited
from jobd.supervisor.outlet import Run

# The state of a process is asked for at every n-th look: its span of interest is a lease.
_STATE_EVERY = 4


class Outlook:
    """Looks at the pages of one scoreboard, and at the processes they name."""

    def __init__(self, board: Scoreboard) -> None:
        self.board = board
        self._turn = 0
        self._kills = OomKills()

    def look(self, fleet: Fleet, now: float) -> Looked:
        """Read the page of every worker that has one, and of forks that were given up."""
        self._turn += 1
        states = self._turn % _STATE_EVERY == 0
        if states:
            self._kills.note(now)
        return Looked(tuple(self._looks(fleet, now, states)))

    def _looks(self, fleet: Fleet, now: float, states: bool) -> Iterable[Look]:
        for incarnation, index in _pages(fleet):
            view = self.board.pages[index].view()
            if view is not None and view.incarnation == incarnation:
                yield _look(view, fleet.children.get(incarnation), now, states)

    def last(self, child: Child, how: Exit) -> WorkerExited:
        """Read the page of a worker that has ended."""
        incarnation = child.incarnation
        foreign = how == Exit(signal=signal.SIGKILL) and not child.killed
        oom = foreign and self._kills.explains()
        view = self.board.pages[child.page].view()
        if view is None or view.incarnation != incarnation:
            return WorkerExited(incarnation, how, oom=oom)
        return WorkerExited(
            incarnation,
            how,
            ran=view.ran,
            booted=view.beat > 0 or view.phase > Phase.BOOTING,
            fenced=view.fenced,
            jobs=tuple(cell.job_id for cell in view.cells),
            tokens=tuple(cell.claim for cell in view.cells),
            oom=oom,
            grown=_grown(view),
            drained=view.phase is Phase.DRAINING,
            reason=view.reason,
        )

    def only_run(self, incarnation: str, page: int) -> Run | None:
        """Give the job that runs in a worker, when it is exactly one."""
        view = self.board.pages[page].view()
        if view is None or view.incarnation != incarnation or len(view.cells) != 1:
            return None
        cell = view.cells[0]
        return Run(job=cell.job_id, task=cell.task, token=cell.claim)


def _pages(fleet: Fleet) -> Iterable[tuple[str, int]]:
    for child in fleet.children.values():
        yield child.incarnation, child.page
    for dead in fleet.dead.values():
        if dead.unborn:
            yield dead.incarnation, dead.page


def _look(view: PageView, child: Child | None, now: float, states: bool) -> Look:
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
        memory=NOT_READ if child is None or not child.works else _memory(child, now),
        grown=_grown(view),
        has_work=view.phase is Phase.BUSY,
        draining=view.phase is Phase.DRAINING,
    )


def _grown(view: PageView) -> Grown | None:
    if not view.grown_task:
        return None
    return Grown(view.grown_task, view.grown, view.grown_jobs)


def _memory(child: Child, now: float) -> Reading:
    """Look at a process' memory, as closely as it is worth now."""
    if not child.limits.of_memory and now - child.weight.read_at < SHOWN_EVERY:
        return NOT_READ
    rss = memory.resident(child.pid)
    if not is_due(child.limits, child.weight, rss, now):
        return Reading(rss=rss)
    held = memory.held(child.pid)
    if held is None:  # it has ended just now
        return NOT_READ
    return Reading(rss=rss, private=held.private, shared=held.shared)
