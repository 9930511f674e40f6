"""The worker's loop: settle and claim in one round trip, run, again.

    join ─► [settle what ended, claim what comes] ─► run the batch ─┐
              ▲        nothing there: [BLPOP wake, claim]           │
              └─────────────────────────────────────────────────────┘

A batch of fast jobs is run with the next such exchange already under way (jobd.worker.talk).
After any trouble with Redis the link is thrown away and made again, with back-off; what had ended
is kept and settled then. What Redis may have given us in a reply that never came is found by
reconcile, in two looks, and handed back. A fenced worker ends: it may not act again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

from jobd.broker.commands import LIMITED, Claim, Command, QueueCommands
from jobd.broker.connection import Client
from jobd.broker.replies import read_held
from jobd.broker.store import read_epoch
from jobd.core.errors import BrokerError, Fenced
from jobd.core.events import Event
from jobd.core.limits import Limits
from jobd.core.options import Policy
from jobd.core.store_events import BrokerBack, BrokerLost, StoreReset
from jobd.seams.clock import monotonic
from jobd.seams.scoreboard import Page, Phase
from jobd.seams.stop import Stop
from jobd.worker.flush import Flusher
from jobd.worker.inline import InlineExecutor
from jobd.worker.side import SideThread
from jobd.worker.talk import Talk

IDLE_FOR = 2.0
LINK_TIMEOUT = IDLE_FOR + 1.0
AHEAD_MS = 40  # where there is a rate limit: so early before its start a job is taken
NUDGE_AFTER = 0.0015  # the end of a blocking command, which the server takes for over a ms later
SECOND_LOOK = 0.2  # after the first that found what we do not know of
BACKOFF = (0.05, 0.1, 0.2, 0.5, 1.0)


class WorkerLoop:
    """One worker incarnation, from join to its last settle."""

    def __init__(
        self,
        *,
        client: Client,
        namespace: str,
        queue: str,
        incarnation: str,
        lease: float,
        policy: Policy,
        hooks: Sequence[str] = (),
        limits: Limits,
        executor: InlineExecutor,
        page: Page,
        stop: Stop,
        emit: Callable[[Event], None],
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._commands = QueueCommands(namespace, queue)
        self._incarnation = incarnation
        self._lease_ms = round(lease * 1000)
        self._executor = executor
        self._desk = desk = executor.desk
        self._page = page
        self._stop = stop
        self._emit = emit
        self._fenced: Fenced | None = None  # what we heard, until we know why
        self._epoch = ""
        self._failures = 0  # of Redis, in a row
        self._phase = Phase.BOOTING
        self._suspects: dict[bytes, int] = {}
        self._reconcile_at = 0.0
        self._talk = Talk(
            client=client,
            namespace=namespace,
            commands=self._commands,
            incarnation=incarnation,
            lease_ms=self._lease_ms,
            policy=policy,
            hooks=hooks,
            limits=limits,
            desk=desk,
            page=page,
            patience=LINK_TIMEOUT,
        )
        self._flusher = Flusher(
            desk.notes, client=client, commands=self._commands, incarnation=incarnation
        )
        self._side = SideThread(
            desk=desk,
            lane=executor.lane,
            talk=self._talk,
            client=client,
            commands=self._commands,
            incarnation=incarnation,
            lease_ms=self._lease_ms,
            keep=policy.completed_count,
            stopping=stop,
        )

    def run(self) -> None:
        """Work until asked to stop. Raises Fenced when this incarnation may not act any more."""
        self._side.start()
        try:
            while self._goes_on():
                pass
        finally:
            self._side.stop()
            self._flusher.stop()
            self._talk.close()

    def _goes_on(self) -> bool:
        """Take one turn, or one step out of trouble with Redis; False when that was the last."""
        try:
            self._recover()
            if self._stop.asked:
                self._leave()
                return False
            self._turn()
        except Fenced as fenced:
            if self._fenced is not None:
                raise
            self._talk.close()
            self._fenced = fenced
        except BrokerError as error:
            self._talk.close()
            if self._failures == 0:
                self._emit(BrokerLost(why=str(error)))
            if self._stop.asked:
                return False  # the keeper releases what we hold
            self._stop.wait(BACKOFF[min(self._failures, len(BACKOFF) - 1)])
            self._failures += 1
        return True

    def _recover(self) -> None:
        if self._fenced is not None:
            self._begin_anew(self._fenced)
        if not self._talk.is_open:
            self._connect()
            if self._failures:
                self._emit(BrokerBack())
            self._failures = 0

    def _connect(self) -> None:
        self._epoch = self._talk.open()
        self._reconcile_at = 0.0

    def _turn(self) -> None:
        talk, line = self._talk, self._desk.unstarted
        talk.land()
        if monotonic() >= self._reconcile_at:
            self._reconcile()
        if self._suspects:
            # Nothing is taken on: what a lost reply has brought would wait until that ends.
            self._stop.wait(SECOND_LOOK)
            return
        if not line:
            talk.put(slots=1, ahead_ms=AHEAD_MS)
            claim = talk.land()
            if claim is not None and not line:
                self._idle(claim)
            elif claim is not None and claim.wait_ms > 0:
                # Given ahead of its time, which counts from the claim; its answer came after that.
                self._stop.wait(claim.wait_ms / 1000)
        self._page.beat(monotonic())
        if line:
            self._run_batch(len(line))

    def _run_batch(self, size: int) -> None:
        """Run what was claimed. More than one job is claimed only where all are known to be fast:
        then the next exchange is put on the way first, for fast ones alone."""
        self._set_phase(Phase.BUSY)
        if size > 1:
            self._talk.put(slots=0)
            # What is under way may bring as many again.
            self._page.set_claimed(2 * size)
            self._side.batch_opened()
        else:
            self._page.set_claimed(1)
        self._executor.run_all(self._stop)
        if size > 1:
            self._side.batch_closed()
        self._page.set_claimed(0)

    def _idle(self, claim: Claim) -> None:
        """Sleep until a hint, until there may be more, or for a while; then claim, in one trip."""
        self._set_phase(Phase.IDLE)
        due = claim.again_at
        span = IDLE_FOR if due is None else min(IDLE_FOR, max(0.001, (due - claim.now) / 1000))
        if claim.word == LIMITED:
            # No hint could change that: each worker sleeps until the instant it was given.
            self._stop.wait(span)
            return
        hint: Command = ["BLPOP", self._commands.keys.wake_list, f"{span:.3f}"]
        if claim.within_ms is None:
            self._talk.put(slots=1, wait=hint)
        else:
            # Its own trip for the claim: how long ago that was is known by when it was sent.
            self._talk.wait(hint)
        if self._answered(span, is_due=span < IDLE_FOR):
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

    def _reconcile(self) -> None:
        """Look at what we hold; hand back what two looks found and we do not know."""
        desk = self._desk
        with self._side.hands:
            known = {job.id for job in desk.done} | {end.id for end in desk.endings}
            known |= {job.id for job in desk.unstarted}
            suspects = [(job, claim) for job, claim in self._suspects.items() if job not in known]
            held = read_held(self._talk.ask(self._commands.reconcile(self._incarnation, suspects)))
        self._suspects = {job: claim for job, claim in held.items() if job not in known}
        self._reconcile_at = monotonic() + (
            SECOND_LOOK if self._suspects else self._lease_ms / 3000
        )

    def _begin_anew(self, fenced: Fenced) -> None:
        """Tell a store that lost us, after which we go on, from a lease that was closed."""
        epoch = read_epoch(self._client, self._namespace, secrets.token_hex(8))
        if epoch == self._epoch or not self._epoch:
            raise fenced
        self._fenced = None
        self._emit(StoreReset())
        # Whatever the store is now, it has not given us these: it runs them again or lost them.
        self._desk.forget()
        self._stop.wait(self._lease_ms / 6000)

    def _leave(self) -> None:
        """Settle what ended, hand back the rest."""
        self._set_phase(Phase.DRAINING)
        self._talk.land()
        self._talk.leave()

    def _set_phase(self, phase: Phase) -> None:
        if phase is not self._phase:
            self._phase = phase
            self._page.set_phase(phase)
