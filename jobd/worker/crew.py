"""The loop of a worker that runs several jobs at once: it speaks to Redis while its lanes run.

    [settle what ended, claim for the free lanes] ─► wait: a lane is free, a hint has come ─┐
      ▲                                                                                     │
      └─────────────────────────────────────────────────────────────────────────────────────┘

It has a thread to itself, so that neither a task nor an event loop waits for a socket. One exchange is
under way at a time; what ends and what becomes free meanwhile goes with the next, so exchanges grow
with the load. Where the queue is empty a second link waits for a hint, for the first must go on
settling: [BLPOP wake, claim], and nothing else claims until that is answered.

Fast tasks come in batches (jobd.worker.costs) with the next one claimed ahead, slow and unknown ones
one for each free lane. What lies unstarted while no lane moves goes back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

from jobd.broker.commands import CAPPED, LIMITED, Claim, Claimed
from jobd.seams.bell import Bell
from jobd.seams.clock import monotonic
from jobd.seams.exits import Reason
from jobd.seams.scoreboard_views import Phase
from jobd.worker.desk import Desk
from jobd.worker.doers import doers_of
from jobd.worker.lane import Lane
from jobd.worker.loop import IDLE_FOR, NUDGE_AFTER, SECOND_LOOK, WorkerLoop, idle_span
from jobd.worker.take import take_all

OVERSTAYED = 0.05
LOOK_EVERY = 0.025
# What was claimed has started within 100 ms or is back, so that a pause or a limit is soon one.
WAITED_MS = 75
# While jobs run: a page that is not written to shows the keeper that a task holds the GIL.
BEAT_EVERY = 0.15


class CrewExecutor(Protocol):
    """What runs jobs beside this loop."""

    desk: Desk
    lanes: list[Lane]
    bell: Bell
    """Rung by a lane whose job has ended."""

    def run(self, talk: Callable[[], None]) -> None:
        """Run jobs until `talk` has ended; it is called once, by a thread that may wait.

        When it returns no lane is busy. When it raises this process ends, and so does this call.
        """

    def feed(self) -> None:
        """Put the jobs on the desk into free lanes."""

    def heeds(self) -> bool:
        """Whether that was done, or could be done at once."""

    def when_quiet(self, look: Callable[[], bool]) -> Callable[[], bool]:
        """Have `look` called in the main thread, after jobs, while none runs and none can begin.

        It says whether any may begin here afterwards. Gives what this loop is to call when it sees such a moment.
        """

    @property
    def is_lost(self) -> bool:
        """Whether it can run nothing any more, since a task has closed what it lives on."""

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What it lives on."""


class CrewLoop(WorkerLoop):
    """Drives the executors `threads` and `asyncio`."""

    def __init__(self, executor: CrewExecutor, **settings: Any) -> None:
        super().__init__(desk=executor.desk, **settings)
        self.executor = executor
        self._lanes = executor.lanes
        self._bell = executor.bell
        self._waiter = self._make_talk()
        self._careful: list[tuple[Claimed, int]] = []  # of those at hand: in whose company few run
        self._held_up = False  # free lanes did not take what they were given
        self._capped = False  # so many jobs run as the queue may have at once
        self._rest_until = 0.0  # nobody may claim before that
        self._nudge_at = math.inf  # the hint is late by then
        self._look_by_ourselves = executor.when_quiet(self._look_around)
        self._looked_at = 0.0
        if self._pristine is not None:
            self._pristine.links_are_sound = self._are_sound
            self._pristine.guard(self._bell.readable, *executor.descriptors)
        self._batch = 0  # jobs of the last claim that went beyond the free lanes: all fast

    def run(self) -> None:
        """Work until asked to stop. Raises Fenced when this incarnation may not act any more."""
        self.executor.run(super().run)

    def _hang_up(self) -> None:
        super()._hang_up()
        self._waiter.close()

    def _pause(self, seconds: float) -> None:
        self._bell.wait(seconds, beside=() if self._stop.asked else (self._stop.readable,))

    def _running(self) -> list[bytes]:
        if self.executor.is_lost:
            return []
        return [job.id for lane in self._lanes if (job := lane.running) is not None]

    def _connect(self) -> None:
        super()._connect()
        self._waiter.open_beside()

    # --- a turn ---

    def _turn(self) -> None:
        self._bell.listen()
        self._lifetime.spend(self._talk.count_new())
        self._take_back()
        self._admit()
        if monotonic() >= self._reconcile_at:
            self._reconcile()
        if self._pristine is not None:
            self._pristine.collect()
        self._set_phase(Phase.BUSY if self._at_hand() else Phase.IDLE)
        if not self._exchange():
            self._wait(self._span())

    def _exchange(self) -> bool:
        """Settle and claim, where there is something to settle or somebody to claim for."""
        desk, free = self.desk, self._free()
        ahead = self._batch and self._may_batch() and len(desk.unstarted) <= self._batch // 2
        if not (self._may_claim() and (free or ahead)):
            self._excuse()
            if not (desk.done or desk.endings or desk.revoked):
                # A lane may have been seen to end its job, and settled, before it was out of it.
                self._look_by_ourselves()
                return False
            self._talk.settle(hint=self._capped)
            self._look_by_ourselves()
            return True
        self._page.set_claimed(self._at_hand() + max(free, self._batch))
        desk.pace = self._pace()
        # Nothing ahead of its time: lanes that look at the line would begin it.
        self._talk.put(slots=free, batches=self._may_batch())
        self._look_by_ourselves()  # while Redis works
        claim = self._talk.land()
        assert claim is not None
        brought = len(claim.jobs)
        self._batch = brought if brought > free else 0
        self._feed()
        if brought < free:
            self._await_more(claim, free - brought)
        else:
            self._page.set_claimed(self._at_hand())
        return True

    def _are_sound(self) -> bool:
        return self._talk.is_sound() and self._waiter.is_sound()

    def _excuse(self) -> None:
        """Say on the page that no claim is missing where cells stay empty on purpose: beside a job
        that runs in little company, or one that holds the event loop up."""
        if any(lane.running for lane in self._lanes) and (self._careful or self._held_up):
            self._page.asked(monotonic())

    def _feed(self) -> None:
        """Have jobs begin; none once we are to end: they are handed back."""
        if not self._stop.asked:
            self.executor.feed()

    def _look_around(self) -> bool:
        """See what jobs have left of this process, where none of them runs and any has since.

        False when none may run here any more.
        """
        self._see_what_is_left()
        return self._pristine is None or not self._pristine.reason

    def _see_what_is_left(self) -> None:
        if self.executor.is_lost:
            self._stop.ask()
            if self._pristine is not None:
                self._pristine.condemn(Reason.DESCRIPTORS, "the event loop's was closed")
        if self._pristine is None or self._at_hand():
            return
        ran = [lane.job for lane in self._lanes if lane.started > self._looked_at]
        if not ran:
            return
        self._looked_at = monotonic()
        self._pristine.look(doers_of(ran))

    def _may_claim(self) -> bool:
        if self._held_up and self.executor.heeds():
            self._held_up = False
        return not (
            self._held_up
            or self._waiter.under_way
            or self._suspects
            or self.desk.wary
            or self.desk.ended.is_full
            or monotonic() < self._rest_until
        )

    def _await_more(self, claim: Claim, slots: int) -> None:
        """Nothing is left to claim: wait for a hint, until there may be more, or for a while."""
        span = idle_span(claim)
        self._capped = claim.word == CAPPED
        if claim.word == LIMITED:
            # No hint could change that: each worker sleeps until the instant it was given.
            self._rest_until = monotonic() + span
            return
        self._nudge_at = monotonic() + span + NUDGE_AFTER if span < IDLE_FOR else math.inf
        if claim.within_ms is None:
            self._waiter.put_waiting(slots=slots, wait=self._hint(span), batches=self._may_batch())
        else:
            # Its own trip for the claim: how long ago that was is known by when it was sent.
            self._waiter.wait(self._hint(span))

    def _wait(self, seconds: float) -> None:
        """Wait for a lane, a hint or a stop; take in what the hint has brought."""
        waiting = [self._waiter.fileno()] if self._waiter.under_way else []
        found = self._bell.wait(max(0.0, seconds), beside=(self._stop.readable, *waiting))
        if found.intersection(waiting):
            self._waiter.land()
            self._nudge_at = math.inf
            self._feed()
            self._page.set_claimed(self._at_hand())
        elif waiting:
            self._waiter.refuse_late()
            if monotonic() >= self._nudge_at:
                self._nudge_at = math.inf
                self._waiter.nudge()

    def _span(self) -> float:
        if self.desk.unstarted or self._held_up:
            return LOOK_EVERY
        if self._suspects:
            return SECOND_LOOK
        span = BEAT_EVERY if self._phase is Phase.BUSY else IDLE_FOR
        now = monotonic()
        if self._rest_until > now:
            span = min(span, self._rest_until - now)
        return min(span, self._nudge_at - now, self._waiter.patient_until - now)

    def _take_back(self) -> None:
        """Take unstarted jobs from lanes that do not move, or too slowly: nothing may wait behind."""
        if self.desk.unstarted:
            last = max(lane.started for lane in self._lanes)
            still = monotonic() - max(last, self.desk.loaded_at) > OVERSTAYED
            if still or self._waits_for() > WAITED_MS:
                self.desk.revoked.extend(take_all(self.desk.unstarted))
                self._batch = 0
                # Whoever holds them up would hold up the same jobs again: others may have them.
                self._held_up = self._free() > 0

    def _waits_for(self) -> float:
        """Tell for how many ms the first of the line is ours: a claim's number says when it was made."""
        try:
            return self.desk.store_ms() - self.desk.unstarted[0].claim / 1024
        except IndexError:  # a lane was quicker
            return 0.0

    def _pace(self) -> int:
        """Count the lanes that are free, or will soon be if their job is like the last ones."""
        since = monotonic() - OVERSTAYED
        stuck = sum(lane.running is not None and lane.started < since for lane in self._lanes)
        return max(1, len(self._lanes) - stuck)

    def _admit(self) -> None:
        """Let jobs begin that run in little company, as soon as few enough others are at hand."""
        if self._careful:
            here = {*self._running(), *(job.id for job in self.desk.unstarted)}
            self._careful = [(job, limit) for job, limit in self._careful if job.id in here]
        while self.desk.wary:
            job, limit = self.desk.wary[0]
            if self._at_hand() >= min(limit, self._most()):
                return
            self._careful.append(self.desk.wary.popleft())
            self.desk.unstarted.append(job)
            self._feed()

    def _most(self) -> int:
        """Say how many jobs may be at hand at once."""
        return min([len(self._lanes), *(limit for _, limit in self._careful)])

    def _free(self) -> int:
        at_hand = self._at_hand()
        unsettled = len(self.desk.done) + len(self.desk.endings)
        return max(0, int(min(self._most(), self._lifetime.left - unsettled) - at_hand))

    def _may_batch(self) -> bool:
        """Whether more may be claimed than there are free lanes."""
        return not (self._careful or self._lifetime.is_near_its_end)

    def _at_hand(self) -> int:
        busy = sum(lane.running is not None for lane in self._lanes)
        return busy + len(self.desk.unstarted)

    # --- the way out ---

    def _leave(self) -> bool:
        """Hand back what has not begun, settle what ends, until nothing runs."""
        if self._waiter.under_way:
            # What the claim behind the hint may still bring is found by looking at what we hold.
            self._waiter.close()
            self._reconcile_at = 0.0
        self._bell.listen()
        running = bool(self._running())
        self._talk.leave()
        if not running:
            return False
        if monotonic() >= self._reconcile_at:
            self._reconcile()
        self._bell.wait(BEAT_EVERY)
        return True
