"""Duty: jobs claimed behind a task that holds the GIL run elsewhere.

Such a worker cannot hand anything back itself: no lane of it starts anything, and its loop does not
turn. The keeper writes the newest claim number it holds into its page and, a tick later, hands back
what comes in the worker's line after everything it has started: the rest of its claim, and what a
claim that was under way has brought since. The worker writes its cell before it looks at `revoked`,
the keeper looks at the cells after it wrote `revoked`: whichever came first, one of the two sees the
other, and no job is started and handed back.

Jobs start in the order of the line, and what a lane ran before a job that is settled is settled too
(jobd.worker.desk). So the run that each cell saw last, ended or not, tells where the unstarted begin:
a job that has ended and waits to be settled is not among them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jobd.broker.store import Store
from jobd.seams.scoreboard_page import Page
from jobd.seams.scoreboard_views import CellView

OVERSTAYED = 0.3


@dataclass(frozen=True, slots=True)
class Revocation:
    """A claim number that was written into a page, and the last run of each cell by then."""

    claim: int
    latest: tuple[CellView, ...]


class Revoker:
    """Watches one worker's page."""

    def __init__(self, page: Page, store: Store, incarnation: str) -> None:
        self._page = page
        self._store = store
        self._incarnation = incarnation
        self._written: Revocation | None = None

    def look(self, now: float) -> int:
        """Look once a tick; give how many jobs were handed back."""
        view = self._page.view()
        if view is None or view.incarnation != self._incarnation:
            return 0
        moved_at = max((cell.started for cell in view.cells), default=now)
        if view.claimed <= len(view.cells) or now - max(moved_at, view.beat) < OVERSTAYED:
            self._written = None
            return 0
        latest = self._page.latest()
        behind = self._behind(view.cells, latest)
        newest = max((claim for _, claim in behind), default=max(run.claim for run in latest))
        known = self._written
        # What the worker had asked for before may reach it later: then it is taken away as well.
        if known is None or known.latest != latest or newest > known.claim:
            self._page.revoke(newest)
            self._written = Revocation(newest, latest)
            return 0
        return len(self._store.hand_back(self._incarnation, behind)) if behind else 0

    def _behind(
        self, running: Iterable[CellView], latest: Iterable[CellView]
    ) -> list[tuple[bytes, int]]:
        """List (job, claim) of what was not started; nothing if a running job is not held."""
        line = self._store.line_of(self._incarnation)
        places = {job: place for place, job in enumerate(line)}
        if any(_key(cell) not in places for cell in running):
            return []
        return line[max(places.get(_key(run), -1) for run in latest) + 1 :]


def _key(cell: CellView) -> tuple[bytes, int]:
    return cell.job_id.encode(), cell.claim
