"""The loop of a worker that runs one job at a time, in the thread that also speaks to Redis.

    [settle what ended, claim what comes] ─► run the batch ─┐
      ▲        nothing there: [BLPOP wake, claim]           │
      └─────────────────────────────────────────────────────┘

A batch of fast jobs is run with the next such exchange already under way (jobd.worker.talk).
"""

from __future__ import annotations

from contextvars import copy_context
from typing import Any

from jobd.broker.commands import LIMITED, Claim, Claimed
from jobd.seams.clock import monotonic
from jobd.seams.scoreboard_views import Phase
from jobd.worker.doers import Doers, doers_of
from jobd.worker.inline import InlineExecutor
from jobd.worker.loop import (
    IDLE_FOR,
    LINK_TIMEOUT,
    NUDGE_AFTER,
    SECOND_LOOK,
    WorkerLoop,
    idle_span,
)
from jobd.worker.side import SideThread
from jobd.worker.whose import LANE

# More than one at a time are claimed of tasks that are known here, and were looked after alone: they are
# looked after together, once so many have run for long enough to be worth a look, or for so long.
LOOK_AFTER_JOBS = 1024
WORTH_A_LOOK = 0.005  # it takes 0.13 ms where the processor has to fetch what it looks at
LOOK_AFTER = 0.1
# So long a batch may have closed our link without a call that is told of: one descriptor after another.
DOUBTED_AFTER = 0.0002


class SoloLoop(WorkerLoop):
    """Drives the executor `inline`."""

    def __init__(self, executor: InlineExecutor, **settings: Any) -> None:
        super().__init__(desk=executor.desk, **settings)
        self.executor = executor
        self._side = SideThread(
            desk=executor.desk,
            lane=executor.lane,
            talk=self._talk,
            client=self._client,
            commands=self._commands,
            incarnation=self._incarnation,
            lease_ms=self._lease_ms,
            keep=self._policy.completed_count,
            stopping=self._stop,
        )
        self._hands = self._side.hands
        if self._pristine is not None:
            self._pristine.links_are_sound = self._talk.is_sound
        # Since the last look at what they have left: how many, for how long, and the one that was alone.
        # Nothing else of them is kept: see jobd.worker.doers.
        self._ran = 0
        self._ran_for = 0.0
        self._alone: Claimed | None = None
        self._is_due = False  # one of them was not known to be quick

    def run(self) -> None:
        """Work until asked to stop. Raises Fenced when this incarnation may not act any more."""
        self._side.start()
        LANE.set(self.executor.lane)
        try:
            super().run()
        finally:
            self._side.stop()

    def _running(self) -> list[bytes]:
        return []  # the thread that asks is the one that would run it

    def _turn(self) -> None:
        talk, line = self._talk, self.desk.unstarted
        talk.land()
        if monotonic() >= self._reconcile_at:
            self._reconcile()
        if self._suspects:
            # Nothing is taken on: what a lost reply has brought would wait until that ends.
            self._stop.wait(SECOND_LOOK)
            return
        if self.desk.ended.is_full:
            # Nothing begins before some of that is settled: others may have what is at hand.
            self.desk.give_up_unstarted()
        if not line and not self._ask():
            return
        self._page.beat(monotonic())
        if line:
            self._run_batch(len(line))

    def _ask(self) -> bool:
        """Settle and claim; sleep, where there is nothing. False when nothing is to begin.

        By itself, so that nobody holds what it brought while that runs.
        """
        talk, line = self._talk, self.desk.unstarted
        if self._ran_for > DOUBTED_AFTER and self._lost_link():
            return False
        if self.desk.ended.is_full:
            talk.settle()
            return False
        talk.put(slots=1, ahead=True, batches=not self._lifetime.is_near_its_end)
        self._look_if_due()  # while Redis works
        claim = talk.land()
        if self._stop.asked:
            return False
        if claim is not None and not line:
            if not (self.desk.done or self.desk.endings):  # else there is more to settle first
                self._idle(claim)
        elif claim is not None and claim.wait_ms > 0:
            # Given ahead of its time, which counts from the claim; its answer came after that.
            self._stop.wait(claim.wait_ms / 1000)
        return True

    def _run_batch(self, size: int) -> None:
        """Run what was claimed, in a process that is in order.

        More than one job is claimed only where all are known to be fast: then the next exchange is put
        on the way first, for fast ones alone.
        """
        self._look_if_due(now=size == 1)
        self._set_phase(Phase.BUSY)
        if size > self._lifetime.left:
            size = int(self._lifetime.left)
            self.desk.hand_back_all_but(size)
        if size > 1:
            if not self._lifetime.is_near_its_end:
                self._talk.put(slots=0)
            # What is under way may bring as many again.
            self._page.set_claimed(2 * size)
            self._side.batch_opened()
        else:
            self._page.set_claimed(1)
        self._alone = next(iter(self.desk.unstarted), None) if size == 1 and not self._ran else None
        begun = monotonic()
        # A context of its own: what its jobs set there, the next batch does not see.
        copy_context().run(self.executor.run_all, self._stop, self._look_after)
        self._is_due = self._is_due or size == 1
        self._ran += size
        self._ran_for += monotonic() - begun
        if size > 1:
            self._side.batch_closed()
        self._page.set_claimed(0)
        self._lifetime.spend(size)

    def _look_if_due(self, *, now: bool = False) -> None:
        enough = WORTH_A_LOOK if self._ran >= LOOK_AFTER_JOBS else LOOK_AFTER
        if now or self._is_due or self._ran_for > enough:
            self._look_around()

    def _look_around(self) -> None:
        """See what the last batch has left of this process, before the next job begins."""
        ran, self._ran = self._ran, 0
        alone, self._alone = self._alone, None
        pristine, costs = self._pristine, self.desk.costs
        if ran and pristine:
            tasks = costs.take_ran()
            if pristine.look(Doers(frozenset(tasks), alone)):
                for task in tasks:
                    costs.suspect(task)
        self._ran_for = 0.0
        self._is_due = False

    def _look_after(self, job: Claimed) -> None:
        if self._pristine is not None:
            self._pristine.look(doers_of((job,)))

    def _idle(self, claim: Claim) -> None:
        """Sleep until a hint, until there may be more, or for a while; then claim, in one trip."""
        self._set_phase(Phase.IDLE)
        span = idle_span(claim)
        if claim.word == LIMITED:
            # No hint could change that: each worker sleeps until the instant it was given.
            self._stop.wait(span)
            return
        if claim.within_ms is None:
            batches = not self._lifetime.is_near_its_end
            self._talk.put(slots=1, wait=self._hint(span), batches=batches)
        else:
            # Its own trip for the claim: how long ago that was is known by when it was sent.
            self._talk.wait(self._hint(span))
        self._look_around()
        if self._answered(span, is_due=span < IDLE_FOR):
            self._talk.refuse_late()
            self._talk.land()
        else:
            # What the claim behind the hint may still bring is released by the keeper.
            self._talk.close()

    def _answered(self, span: float, *, is_due: bool) -> bool:
        """Wait for the answer of a command that blocks for so long; False when asked to stop."""
        if is_due:
            late = monotonic() + span + NUDGE_AFTER
            if self._stop.wait(span + NUDGE_AFTER, beside=self._talk.fileno()):
                return False
            if monotonic() >= late:
                self._talk.nudge()
        return not self._stop.wait(LINK_TIMEOUT, beside=self._talk.fileno())

    def _leave(self) -> bool:
        """Settle what ended, hand back the rest."""
        self._talk.land()
        self._talk.leave()
        return False
