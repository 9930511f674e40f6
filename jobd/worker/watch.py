"""One run's eye on its page: was it cancelled?

The keeper writes, the task asks; Redis is not spoken to, so a task may ask as often as it likes, also
on an event loop. Made only for tasks that take the context.
"""

from __future__ import annotations

from jobd.seams.scoreboard_page import Page
from jobd.seams.scoreboard_views import mark_of


class Watch:
    """Called by the task. `seen` stays true once the task was told."""

    __slots__ = ("_cell", "_claim", "_job_id", "_mark", "_page", "seen")

    def __init__(self, page: Page, cell: int, job_id: str, claim: int) -> None:
        self._page = page
        self._cell = cell
        self._job_id = job_id
        self._claim = claim
        self._mark = 0
        self.seen = False

    def __call__(self) -> bool:
        """Say whether this run was cancelled."""
        if not self.seen:
            mark = self._mark = self._mark or mark_of(self._job_id, self._claim)
            self.seen = self._page.is_cancelled(self._cell, mark)
        return self.seen
