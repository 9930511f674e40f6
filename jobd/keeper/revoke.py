"""Duty: jobs claimed behind a task that holds the GIL run elsewhere.

Such a worker cannot hand anything back itself. The keeper writes the newest claim number it holds
into its page and, a tick later, hands back what comes after the running job in the worker's line:
the rest of its claim, and what a claim that was under way has brought since. The worker writes its
cell before it looks at `revoked`, the keeper looks at the cell after it wrote `revoked`: whichever
came first, one of the two sees the other, and no job is started and handed back.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobd.broker.store import Store
from jobd.seams.scoreboard import CellView, Page

OVERSTAYED = 0.3


@dataclass(frozen=True, slots=True)
class Revocation:
    """A claim number that was written into a page, and the job that ran then."""

    claim: int
    running: CellView


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
        [running] = view.cells or (None,)
        if running is None or view.claimed <= 1 or now - running.started < OVERSTAYED:
            self._written = None
            return 0
        behind = self._behind(running)
        newest = max((claim for _, claim in behind), default=running.claim)
        known = self._written
        # What the worker had asked for before may reach it later: then it is taken away as well.
        if known is None or known.running != running or newest > known.claim:
            self._page.revoke(newest)
            self._written = Revocation(newest, running)
            return 0
        return len(self._store.hand_back(self._incarnation, behind)) if behind else 0

    def _behind(self, running: CellView) -> list[tuple[bytes, int]]:
        """List (job, claim) of what stands behind the running job; nothing if that is not held."""
        line = self._store.line_of(self._incarnation)
        me = (running.job_id.encode(), running.claim)
        return line[line.index(me) + 1 :] if me in line else []
