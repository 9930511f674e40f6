"""How many jobs this worker still runs, where their number is limited (`max_jobs`).

The supervisor forks a successor in time (jobd.supervisor.recycle), so that this is reached only where
jobs are quicker than it looks, or where they are so few that each counts: then nobody runs one more.
"""

from __future__ import annotations

import math

from jobd.core.lifetimes import most_jobs
from jobd.seams.exits import Reason
from jobd.worker.pristine import Pristine

# With no more left than two claims may bring, jobs are claimed one by one.
_NEAR = 512


class Lifetime:
    """One worker's. Without a limit, and where the process is somebody else's, it never ends."""

    def __init__(self, jobs: int = 0, worker: str = "", pristine: Pristine | None = None) -> None:
        self.left: float = most_jobs(jobs, worker) if jobs and pristine is not None else math.inf
        self._pristine = pristine

    @property
    def is_near_its_end(self) -> bool:
        """Nothing is to be claimed ahead any more."""
        return self.left <= _NEAR

    def spend(self, jobs: int) -> None:
        """Take in that so many were run; when that were all, have this worker settle, and end."""
        self.left -= jobs
        if self.left <= 0 and self._pristine is not None:
            self._pristine.retire(Reason.MAX_JOBS)
