"""What lies between the jobs that run and the talk with Redis.

Jobs come in through `load`, ends go out through `done` and `endings`, all of them deques: their pops
are atomic, so that the side thread may take unstarted jobs and finished ends away while a job
overstays, and no job is ever in two hands.
"""

from __future__ import annotations

from collections import deque

from jobd.broker.commands import Claim, Claimed, Completed, Ending
from jobd.seams.clock import monotonic
from jobd.worker.costs import Costs
from jobd.worker.figures import Figures
from jobd.worker.notes import Notebook


class Desk:
    """The jobs at hand of one worker, and what their runs have taught so far."""

    def __init__(self, *, lease: float) -> None:
        self.unstarted: deque[Claimed] = deque()
        self.done: deque[Completed] = deque()
        self.endings: deque[Ending] = deque()
        self.revoked: deque[Claimed] = deque()
        """Taken for a start and refused: another host may have them, or we hand them back."""
        self.figures = Figures()
        self.costs = Costs()
        self.store_offset_ms = 0.0
        """Redis' clock less ours, as the last claim showed it."""
        self.ours_until = 0.0
        """What was claimed longer ago may be somebody else's by now; on our monotonic clock."""
        self.notes = Notebook(self.store_ms)
        self._lease = lease

    def load(self, claim: Claim, now: float, start_by: float | None = None) -> None:
        """Take in a batch. `now` is our monotonic clock when its reply came, and `start_by` the last
        instant for a start, where there is a rate limit."""
        self.store_offset_ms = claim.now - now * 1000
        self.ours_until = now + self._lease if start_by is None else start_by
        self.unstarted.extend(claim.jobs)

    def forget(self) -> None:
        """Drop everything claimed: the store that gave it is no more."""
        for line in (self.unstarted, self.done, self.endings, self.revoked):
            line.clear()
        self.notes.forget()

    def store_ms(self) -> int:
        """Tell Redis' time, by our clock and the last claim."""
        return round(monotonic() * 1000 + self.store_offset_ms)
