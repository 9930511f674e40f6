"""The worker's loop: settle and claim in one round trip, run, again.

    join ─► [settle what ended, claim what comes] ─► run the batch ─┐
              ▲        nothing there: [BLPOP wake, claim]           │
              └─────────────────────────────────────────────────────┘

After any trouble with Redis the link is thrown away and made again, with back-off; what had ended
is kept and settled then. What Redis may have given us in a reply that never came is found by
reconcile, in two looks, and handed back. A fenced worker ends: it may not act again.
"""

from __future__ import annotations

import secrets
import select
from collections.abc import Callable

from jobd.broker.commands import (
    Command,
    QueueCommands,
    read_claim,
    read_held,
    refuse_fenced,
)
from jobd.broker.connection import Client, Link
from jobd.broker.scripts import SCRIPTS
from jobd.broker.store import read_epoch
from jobd.core.errors import BrokerError, Fenced
from jobd.core.events import Event
from jobd.core.store_events import BrokerBack, BrokerLost, StoreReset
from jobd.seams.clock import monotonic, pause
from jobd.seams.scoreboard import Page, Phase
from jobd.seams.stop import Stop
from jobd.worker.costs import BUDGET_US
from jobd.worker.inline import InlineExecutor
from jobd.worker.side import SideThread

IDLE_FOR = 2.0
LINK_TIMEOUT = IDLE_FOR + 1.0
SECOND_LOOK = 0.2  # after the first that found what we do not know of
BACKOFF = (0.05, 0.1, 0.2, 0.5, 1.0)
_LOADED = [SCRIPTS[name] for name in ("join", "claim", "settle", "hand_back", "reconcile")]


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
        keep: int,
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
        self._keep = keep
        self._executor = executor
        self._page = page
        self._stop = stop
        self._emit = emit
        self._link: Link | None = None
        self._fenced: Fenced | None = None  # what we heard, until we know why
        self._epoch = ""
        self._settled = 0
        self._phase = Phase.BOOTING
        self._suspects: dict[bytes, int] = {}
        self._reconcile_at = 0.0
        self._side = SideThread(
            executor=executor,
            client=client,
            commands=self._commands,
            incarnation=incarnation,
            lease_ms=self._lease_ms,
            keep=keep,
            stopping=stop,
        )

    def run(self) -> None:
        """Work until asked to stop. Raises Fenced when this incarnation may not act any more."""
        self._side.start()
        failures = 0
        try:
            while True:
                try:
                    if self._fenced is not None:
                        self._begin_anew(self._fenced)
                    if self._link is None:
                        self._connect()
                        if failures:
                            self._emit(BrokerBack())
                        failures = 0
                    if self._stop.asked:
                        self._leave()
                        return
                    self._turn()
                except Fenced as fenced:
                    if self._fenced is not None:
                        raise
                    self._drop_link()
                    self._fenced = fenced
                except BrokerError as error:
                    self._drop_link()
                    if failures == 0:
                        self._emit(BrokerLost(why=str(error)))
                    if self._stop.asked:
                        return  # the keeper releases what we hold
                    pause(BACKOFF[min(failures, len(BACKOFF) - 1)])
                    failures += 1
        finally:
            self._side.stop()
            self._drop_link()

    def _connect(self) -> None:
        link = Link(self._client, blocking_for=LINK_TIMEOUT)
        try:
            link.load(_LOADED)
            epoch = read_epoch(self._client, self._namespace, secrets.token_hex(8))
            # A lease of ours may still stand from before the connection broke; joining renews it.
            refuse_fenced(
                link.roundtrip([self._commands.join(self._incarnation, self._lease_ms)])[0]
            )
        except BaseException:
            link.close()
            raise
        self._link, self._epoch = link, epoch
        self._reconcile_at = 0.0

    def _turn(self) -> None:
        assert self._link is not None
        if monotonic() >= self._reconcile_at:
            self._reconcile()
        if self._suspects:
            # Nothing new is taken on: what a lost reply has brought would wait until that ends.
            select.select([self._stop.readable], [], [], SECOND_LOOK)
            return
        calls, done, endings = self._settlement()
        calls.append(self._claim())
        replies = self._exchange(calls, done, endings)
        claim = read_claim(replies[-1])
        if not claim.jobs:
            claim = read_claim(self._idle(claim.next_due, claim.now))
        self._page.beat(now := monotonic())
        if claim.jobs:
            self._executor.load(claim, now)
            self._run_batch(len(claim.jobs))

    def _run_batch(self, size: int) -> None:
        self._set_phase(Phase.BUSY)
        self._page.set_claimed(size)
        if size > 1:
            self._side.batch_opened()
        run_next = self._executor.run_next
        while not self._stop.asked and run_next():
            pass
        if size > 1:
            self._side.batch_closed()
        self._page.set_claimed(0)

    def _settlement(self) -> tuple[list[Command], list[object], list[object]]:
        """Spell the settle for everything that has ended, and keep it until it is answered."""
        executor = self._executor
        done = [executor.done.popleft() for _ in range(len(executor.done))]
        endings = [executor.endings.popleft() for _ in range(len(executor.endings))]
        calls: list[Command] = []
        if executor.revoked:
            calls.append(self._commands.hand_back(self._incarnation, executor.revoked))
            executor.revoked = []
        if not done and not endings:
            return calls, [], []
        call = self._commands.settle(
            self._incarnation,
            self._lease_ms,
            keep=self._keep,
            completed=done,
            endings=endings,
            sums=executor.figures.take_sums(),
        )
        return [*calls, call], list(done), list(endings)

    def _exchange(
        self, calls: list[Command], done: list[object], endings: list[object]
    ) -> list[list[bytes]]:
        assert self._link is not None
        try:
            replies = self._link.roundtrip(calls)
        except BrokerError:
            # Perhaps settled, perhaps not: a repeat is refused or counted once, never twice.
            self._executor.done.extendleft(reversed(done))  # type: ignore[arg-type]
            self._executor.endings.extendleft(reversed(endings))  # type: ignore[arg-type]
            if done or endings:
                self._executor.figures.put_back()
            raise
        for reply in replies:
            refuse_fenced(reply)
        if done or endings:
            self._settled += len(done) + len(endings)
            self._page.set_settled(self._settled)
        return replies

    def _idle(self, next_due: int | None, now: int) -> list[bytes]:
        """Sleep until a hint, the next due time or a while has passed; then claim, in one trip."""
        assert self._link is not None
        self._set_phase(Phase.IDLE)
        span = IDLE_FOR
        if next_due is not None:
            span = min(span, max(0.001, (next_due - now) / 1000))
        calls: list[Command] = [
            ["BLPOP", self._commands.keys.wake_list, f"{span:.3f}"],
            self._claim(),
        ]
        self._link.send(calls)
        ready, _, _ = select.select(
            [self._link.fileno(), self._stop.readable], [], [], LINK_TIMEOUT
        )
        if self._stop.readable in ready:
            # What the claim behind the hint may still bring is released by the keeper.
            self._drop_link()
            return [b"ok", b"0", b"0", b""]
        return self._link.collect(calls)[-1]  # type: ignore[no-any-return]

    def _claim(self) -> Command:
        return self._commands.claim(
            self._incarnation,
            self._lease_ms,
            slots=1,
            budget_us=BUDGET_US,
            costs=self._executor.costs.flat(),
        )

    def _reconcile(self) -> None:
        """Look at what we hold; hand back what two looks found and we do not know."""
        assert self._link is not None
        known = self._side.known()
        suspects = [(job, claim) for job, claim in self._suspects.items() if job not in known]
        call = self._commands.reconcile(self._incarnation, suspects)
        held = read_held(self._link.roundtrip([call])[0])
        known |= self._side.known()
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
        self._executor.done.clear()
        self._executor.endings.clear()
        pause(self._lease_ms / 6000)

    def _leave(self) -> None:
        """Settle what ended, hand back the rest."""
        assert self._link is not None
        self._set_phase(Phase.DRAINING)
        calls, done, endings = self._settlement()
        line = self._executor.unstarted
        if line:
            jobs = [(ticket.job.id, ticket.claim) for ticket in line]
            line.clear()
            calls.append(self._commands.hand_back(self._incarnation, jobs))
        if calls:
            self._exchange(calls, done, endings)

    def _set_phase(self, phase: Phase) -> None:
        if phase is not self._phase:
            self._phase = phase
            self._page.set_phase(phase)

    def _drop_link(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None
