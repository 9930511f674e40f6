"""What lies between the jobs that run and the talk with Redis.

Jobs come in through `load`, ends go out through `done` and `end`, all of them deques: their pops
are atomic, so that the side thread may take unstarted jobs and finished ends away while a job
overstays, and no job is ever in two hands.
"""

from __future__ import annotations

from collections import deque

from jobd.broker.commands import Claim, Claimed, Ending
from jobd.seams.clock import monotonic
from jobd.worker.costs import Costs, SharedCosts
from jobd.worker.ended import Bite, Ended
from jobd.worker.figures import Figures, SharedFigures
from jobd.worker.notes import Notebook
from jobd.worker.record import company
from jobd.worker.take import take_all


class Desk:
    """The jobs at hand of one worker, and what their runs have taught so far."""

    def __init__(self, *, lease: float, shared: bool = False) -> None:
        """`shared`: jobs run in several threads."""
        self.unstarted: deque[Claimed] = deque()
        self.wary: deque[tuple[Claimed, int]] = deque()
        """Not begun, and to run beside few others: with how many, itself included."""
        self.ended = Ended()
        self.done = self.ended.done
        self.endings = self.ended.endings
        self.revoked: deque[Claimed] = deque()
        """Taken for a start and refused: another host may have them, or we hand them back."""
        self.figures = SharedFigures() if shared else Figures()
        self.costs = SharedCosts() if shared else Costs()
        self.store_offset_ms = 0.0
        """Redis' clock less ours, as the last claim showed it."""
        self.ours_until = 0.0
        """What was claimed longer ago may be somebody else's by now; on our monotonic clock."""
        self.loaded_at = 0.0
        self.pace = 1
        """How many lanes move: their jobs end one after another."""
        self.notes = Notebook(self.store_ms)
        self._lease = lease
        self._shared = shared

    def load(self, claim: Claim, now: float, start_by: float | None = None) -> None:
        """Take in a batch. `now` is our monotonic clock when its reply came, and `start_by` the last
        instant for a start, where there is a rate limit."""
        self.store_offset_ms = claim.now - now * 1000
        if start_by is None:
            self.ours_until = now + self._lease
        else:  # what is still there of the last one has to start by then
            self.ours_until = min(start_by, self.ours_until) if self.unstarted else start_by
        self.loaded_at = now
        if not self._shared:
            self.unstarted.extend(claim.jobs)
            return
        for job in claim.jobs:
            if job.more and (limit := company(job.more)) is not None:
                self.wary.append((job, limit))
            else:
                self.unstarted.append(job)

    def forget(self) -> None:
        """Drop everything claimed: the store that gave it is no more."""
        for line in (self.unstarted, self.wary, self.revoked):
            line.clear()
        self.ended.clear()
        self.notes.forget()

    def hand_back_all_but(self, count: int) -> None:
        """Have the last of what has not begun handed back, so that so many are left."""
        while len(self.unstarted) > count:
            self.revoked.append(self.unstarted.pop())

    def give_up_unstarted(self) -> None:
        """Have everything handed back that has not begun."""
        self.revoked.extend(take_all(self.unstarted))
        self.revoked.extend(job for job, _ in take_all(self.wary))

    def unbegun(self) -> list[Claimed]:
        """List what is at hand and does not run."""
        return [*self.unstarted, *(job for job, _ in self.wary), *self.revoked]

    def end(self, ending: Ending) -> None:
        """Record an end other than plain completion."""
        self.ended.end(ending)
        self._begin_no_more_if_full()

    def weigh(self, task: bytes, size: int) -> None:
        """Count a result above ended.LIGHT, just before its job's end is recorded."""
        self.costs.weigh(task, size)
        self.ended.weigh(size)
        self._begin_no_more_if_full()

    def take_ended(self) -> list[Bite]:
        """Take of what has ended as much as may go at once, with the notes that go before it."""
        notes = self.notes
        if notes.holds_some:  # as a rule nobody wrote anything
            return self.ended.take(notes.weight(), notes.weight_of)
        return self.ended.take()

    def _begin_no_more_if_full(self) -> None:
        """Where too much waits to be settled, others may have what has not begun."""
        if self.ended.is_full:
            self.revoked.extend(take_all(self.unstarted))

    def store_ms(self) -> int:
        """Tell Redis' time, by our clock and the last claim."""
        return round(monotonic() * 1000 + self.store_offset_ms)
