"""Which task makes this process grow: what is resident, measured now and then, shared out over tasks.

Measured where a claim is spelled, so never more than once a batch, and not twice in 50 ms: 10 us each. A
plain job pays nothing, its run is counted already (jobd.worker.costs). Between two measures jobs of
several tasks may have run. Each job is taken to add what those of its task did before; what that does
not explain corrects these estimates, each by how many ran (the method of Kaczmarz): where the mix
varies, the one that leaks is found among those that do not. The shares add up to what was measured. The
measure in which a task runs first is left out: it imports and fills caches.

Where the mix does not vary, nobody could tell them apart so. The executor `inline` therefore looks after
each job for a while when a task beside others is new, and after a measure of several tasks that grew
much, once a second at the most: until each of those tasks was seen alone, or 50 ms have gone. One batch
need not hold them all, and what was seen of one alone would be shared out wrongly over the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from jobd.seams import memory
from jobd.seams.clock import monotonic
from jobd.seams.scoreboard_page import Page

EVERY = 0.05
CLOSELY_EVERY = 1.0
_MUCH = 256 * 1024


class Growth:
    """One worker's. `worst` is told on the page: task, bytes, and the jobs it was measured over."""

    def __init__(
        self,
        page: Page,
        *,
        resident: Callable[[], int] = memory.resident,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._page = page
        self._resident = resident
        self._clock = clock
        self._next = 0.0
        self._last = 0
        self._counts: dict[bytes, int] = {}
        self.looks_closely = False
        """The next batch is to be run with a look after each job: `begin`, then `ran` for each."""
        self._to_see: set[bytes] = set()  # closely
        self._see_until = 0.0  # while it does
        self._seen: set[bytes] = set()
        self._closely_at = 0.0
        self._size = 0
        self._a_job: dict[bytes, float] = {}  # what a job is taken to add
        self.grown: dict[bytes, float] = {}
        self.jobs: dict[bytes, int] = {}

    def note(self, runs: Mapping[bytes, Sequence[float]]) -> None:
        """Take in what has run since the last call: task -> (anything, how many)."""
        ran = self._counts
        for task, (_, count) in runs.items():
            ran[task] = ran.get(task, 0) + int(count)
        now = self._clock()
        if now >= self._next:
            self._next = now + EVERY
            self._measure()

    def begin(self) -> None:
        """Look before the first job of a batch that is looked at closely."""
        now = self._clock()
        if not self._see_until:
            self._closely_at, self._see_until = now + CLOSELY_EVERY, now + EVERY
        elif now >= self._see_until:
            self._has_seen()
        self._size = self._look(self._size)

    def ran(self, task: bytes) -> None:
        """Look after one job, which ran alone: that is what one of its task adds, or about that."""
        before, self._size = self._size, self._look(self._size)
        if task in self._a_job:
            parts = 2 if task in self._seen else 1
            self._a_job[task] += (self._size - before - self._a_job[task]) / parts
            self._seen.add(task)
        self._to_see.discard(task)
        if not self._to_see:
            self._has_seen()

    def _has_seen(self) -> None:
        self.looks_closely, self._see_until = False, 0.0
        self._to_see.clear()

    def _measure(self) -> None:
        ran, self._counts = self._counts, {}
        before, self._last = self._last, self._look(self._last)
        if ran and ran.keys() <= self.grown.keys():
            self._share_out(ran, self._last - before)
            self._tell()
            if len(ran) > 1 and self._last - before > _MUCH and self._clock() >= self._closely_at:
                self._is_to_see(ran)
        if fresh := ran.keys() - self.grown.keys():
            for task in fresh:
                self._a_job[task], self.grown[task], self.jobs[task] = 0.0, 0.0, 0
            if len(self.grown) > 1:
                self._is_to_see(ran)

    def _is_to_see(self, ran: Mapping[bytes, int]) -> None:
        self.looks_closely = True
        self._to_see.update(ran)

    def _look(self, then: int) -> int:
        """Measure; give what it was `then` where a job has left no descriptor to look with."""
        try:
            return self._resident()
        except OSError:
            return then

    def _share_out(self, ran: dict[bytes, int], growth: int) -> None:
        a_job = self._a_job
        error = growth - sum(a_job[task] * count for task, count in ran.items())
        squares = sum(count * count for count in ran.values())
        for task, count in ran.items():
            a_job[task] += error * count / squares
            self.grown[task] += a_job[task] * count
            self.jobs[task] += count

    def _tell(self) -> None:
        worst = max(self.grown, key=self.grown.__getitem__)
        if self.grown[worst] > 0:
            self._page.set_grown(worst, round(self.grown[worst]), self.jobs[worst])
