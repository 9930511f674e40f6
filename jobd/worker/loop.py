"""The worker's life, whatever executor it has: join, turn after turn, settle what ended, go.

    join ─► turn ─► turn ─► ... ─► leave
     ▲        │
     └─ trouble: the link is thrown away and made again, with back-off

What had ended by then is kept and settled later. What Redis may have given us in a reply that never
came is found by reconcile, in two looks, and handed back. A fenced worker ends: it may not act again.
What a turn is, `solo` and `crew` say.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from jobd.broker.commands import Claim, Command, QueueCommands
from jobd.broker.connection import Client
from jobd.broker.replies import read_held
from jobd.broker.store import read_epoch
from jobd.core.errors import BrokerError, Fenced
from jobd.core.events import Event
from jobd.core.limits import Limits
from jobd.core.options import Policy
from jobd.core.store_events import BrokerBack, BrokerLost, StoreReset
from jobd.seams.clock import monotonic
from jobd.seams.exits import Reason
from jobd.seams.scoreboard_page import Page
from jobd.seams.scoreboard_views import Phase
from jobd.seams.stop import Stop
from jobd.worker.desk import Desk
from jobd.worker.flush import Flusher
from jobd.worker.lifetime import Lifetime
from jobd.worker.pristine import Pristine
from jobd.worker.talk import Talk

IDLE_FOR = 2.0
LINK_TIMEOUT = IDLE_FOR + 1.0
NUDGE_AFTER = 0.0015  # the end of a blocking command, which the server takes for over a ms later
SECOND_LOOK = 0.2  # after the first that found what we do not know of
# Between two tries to reach Redis. With one that hangs (3 s) the last pause is what a worker may be
# late by once Redis answers again.
BACKOFF = (0.05, 0.1, 0.2, 0.5)


class WorkerLoop(ABC):
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
        desk: Desk,
        page: Page,
        stop: Stop,
        emit: Callable[[Event], None],
        pristine: Pristine | None = None,
        max_jobs: int = 0,
        sweep: Callable[[], None],
    ) -> None:
        """Without `pristine` the process is somebody else's: what a task does to it is left so.

        `sweep` is called between jobs, for what belongs to none any more.
        """
        self._client = client
        self._namespace = namespace
        self._commands = QueueCommands(namespace, queue)
        self._incarnation = incarnation
        self._lease_ms = round(lease * 1000)
        self._policy = policy
        self._hooks = hooks
        self._limits = limits
        self.desk = desk
        self._page = page
        self._stop = stop
        self._emit = emit
        self._pristine = pristine
        self._sweep = sweep
        self._lifetime = Lifetime(max_jobs, incarnation, pristine)
        self._fenced: Fenced | None = None  # what we heard, until we know why
        self._epoch = ""
        self._failures = 0  # of Redis, in a row
        self._lost_as: set[str] = set()  # what was told of them: each kind once
        self._phase = Phase.BOOTING
        self._suspects: dict[bytes, int] = {}
        self._reconcile_at = 0.0
        self._talk = self._make_talk()
        self._flusher = Flusher(
            desk.notes, client=client, commands=self._commands, incarnation=incarnation
        )
        # Whoever holds it may be sure that no other thread has jobs in its hands.
        self._hands: AbstractContextManager[object] = nullcontext()

    def _make_talk(self) -> Talk:
        return Talk(
            client=self._client,
            namespace=self._namespace,
            commands=self._commands,
            incarnation=self._incarnation,
            lease_ms=self._lease_ms,
            policy=self._policy,
            hooks=self._hooks,
            limits=self._limits,
            desk=self.desk,
            page=self._page,
            patience=LINK_TIMEOUT,
        )

    def run(self) -> None:
        """Work until asked to stop. Raises Fenced when this incarnation may not act any more."""
        try:
            while self._goes_on():
                pass
        finally:
            self._flusher.stop()
            self._hang_up()

    @abstractmethod
    def _turn(self) -> None:
        """Do what is next. Raises BrokerError, Fenced."""

    @abstractmethod
    def _running(self) -> list[bytes]:
        """List the jobs that run, by id."""

    @abstractmethod
    def _leave(self) -> bool:
        """Take a step on the way out; False when that was the last. Raises BrokerError."""

    def _hang_up(self) -> None:
        self._talk.close()

    def _pause(self, seconds: float) -> None:
        self._stop.wait(seconds)

    def _goes_on(self) -> bool:
        """Take one turn, or one step out of trouble with Redis; False when that was the last."""
        self._sweep()
        self._page.beat(monotonic())
        try:
            self._recover()
            if self._stop.asked:
                self._set_phase(Phase.DRAINING)
                return self._leave()
            self._turn()
        except Fenced as fenced:
            if self._fenced is not None:
                raise
            self._hang_up()
            self._fenced = fenced
        except BrokerError as error:
            self._hang_up()
            if error.code not in self._lost_as:
                self._lost_as.add(error.code)
                self._emit(BrokerLost(why=str(error)))
            if self._stop.asked and not self._running() and not self._may_settle_yet():
                return False  # the keeper releases what we hold
            self._pause(BACKOFF[min(self._failures, len(BACKOFF) - 1)])
            self._failures += 1
        return True

    def _recover(self) -> None:
        if self._pristine is not None and self._pristine.reason:
            self._lost_link()
        if self._fenced is not None:
            self._begin_anew(self._fenced)
        if not self._talk.is_open:
            self._connect()
            if self._failures:
                self._emit(BrokerBack())
                self._lost_as.clear()
            self._failures = 0

    def _connect(self) -> None:
        self._epoch = self._talk.open()
        self._reconcile_at = 0.0

    def _reconcile(self) -> None:
        """Look at what we hold; hand back what two looks found and we do not know.

        Not in a store that a newer jobd has taken over meanwhile: there nothing more is claimed.
        """
        desk = self.desk
        with self._hands:
            self._talk.refuse_other_format()
            # In the order in which a job moves on: one that moves meanwhile is seen twice.
            known = {job.id for job in desk.unbegun()} | set(self._running())
            known |= {job.id for job in desk.done} | {end.id for end in desk.endings}
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
        self.desk.forget()
        self._pause(self._lease_ms / 6000)

    def _may_settle_yet(self) -> bool:
        """Whether a new link may do what one could not that a task has closed."""
        return bool(self._pristine and self._pristine.reason and not self._failures)

    def _lost_link(self) -> bool:
        """Let go of a link that a task has closed, or made another of. What it was to settle is kept."""
        if self._talk.is_sound():
            return False
        if self._pristine is not None:
            self._pristine.condemn(
                Reason.DESCRIPTORS, "the connection to Redis was closed or replaced"
            )
        self._hang_up()
        return True

    def _hint(self, span: float) -> Command:
        """Spell the wait for a hint."""
        return ["BLPOP", self._commands.keys.wake_list, f"{span:.3f}"]

    def _set_phase(self, phase: Phase) -> None:
        if phase is not self._phase:
            self._phase = phase
            self._page.set_phase(phase)


def idle_span(claim: Claim) -> float:
    """Say how long there may be nothing to claim: until the time that a claim has named, or a while."""
    if claim.again_at is None:
        return IDLE_FOR
    return min(IDLE_FOR, max(0.001, (claim.again_at - claim.now) / 1000))
