"""Duty: jobs claimed behind a task that holds the GIL run elsewhere.

Such a worker cannot hand anything back itself. The keeper writes the claim number into its page
and, a tick later, hands back what comes after the running job in the worker's line. The worker
writes its cell before it looks at `revoked`, the keeper looks at the cell after it wrote `revoked`:
whichever came first, one of the two sees the other, and no job is started and handed back.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobd.broker.store import Store
from jobd.seams.scoreboard import CellView, Page

OVERSTAYED = 0.3


@dataclass(frozen=True, slots=True)
class Revocation:
    """A claim number written into a page, and the job that ran then."""

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
        if self._written is None or self._written.running != running:
            self._page.revoke(running.claim)
            self._written = Revocation(running.claim, running)
            return 0
        return self._take_back(running)

    def _take_back(self, running: CellView) -> int:
        line = self._store.line_of(self._incarnation)
        mine = line.get(running.job_id.encode())
        if mine is None or mine[0] != running.claim:
            return 0
        behind = [(job, claim) for job, (claim, place) in line.items()
                  if claim == running.claim and place > mine[1]]  # fmt: skip
        return len(self._store.hand_back(self._incarnation, behind)) if behind else 0
