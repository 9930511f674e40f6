"""The worker's conversation with Redis: one link, and at most one exchange under way on it.

An exchange settles what has ended and claims what comes next, in one round trip. It may be put on
the way and left there while jobs run: then Redis works on the next batch while the worker works on
this one. Whoever needs its outcome lands it: the main thread when it has nothing to run any more,
the side thread when a job overstays and nothing may wait behind it. What was given to an exchange
stays with it until it is answered, so a lost reply loses no ending. It settles no more than a slow link
carries within its patience (jobd.worker.ended): what is left goes with the next.
"""

from __future__ import annotations

import math
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from jobd.broker.claims import read_claim
from jobd.broker.commands import Claim, Command, Jot, QueueCommands
from jobd.broker.connection import Client, Reply
from jobd.broker.link import Link
from jobd.broker.replies import refuse_fenced
from jobd.broker.scripts import SCRIPTS
from jobd.broker.store import epoch_command, epoch_of
from jobd.core.errors import BrokerError, Fenced
from jobd.core.limits import Limits
from jobd.core.options import Policy
from jobd.core.states import WITHOUT_A_RUN
from jobd.seams.clock import monotonic
from jobd.seams.scoreboard_page import Page
from jobd.worker.costs import BUDGET_US
from jobd.worker.desk import Desk
from jobd.worker.ended import Bite, ids_of, settles
from jobd.worker.promptness import Promptness
from jobd.worker.take import take_all

AHEAD_MS = 40  # where there is a rate limit: so early before its start a job is taken
_LOADED = [
    SCRIPTS[name]
    for name in ("epoch", "join", "claim", "settle", "hand_back", "reconcile", "jot", "wake")
]


@dataclass(slots=True)
class Exchange:
    """What was sent together, and what it settles. `claims` is the place of the claim.

    `jots` are the notes that go first, a call each; then comes a call for each bite of what has `ended`.
    `is_prompt` says that nothing but the way to Redis and back lies between `sent_at` and its answer.
    """

    calls: list[Command]
    jots: list[list[Jot]] = field(default_factory=list)
    ended: list[Bite] = field(default_factory=list)
    sums: list[str | int] = field(default_factory=list)
    claims: int | None = None
    sent_at: float = 0.0
    is_prompt: bool = False


class Talk:
    """Speaks for one worker incarnation. `land` and `under_way` may be called by any thread."""

    def __init__(
        self,
        *,
        client: Client,
        namespace: str,
        commands: QueueCommands,
        incarnation: str,
        lease_ms: int,
        policy: Policy,
        hooks: Sequence[str],
        limits: Limits,
        desk: Desk,
        page: Page,
        patience: float,
    ) -> None:
        """`patience` is how long a reply may take, in seconds, blocking commands included."""
        self._client = client
        self._namespace = namespace
        self._commands = commands
        self._incarnation = incarnation
        self._lease_ms = lease_ms
        self._policy = policy
        self._hooks = hooks
        self._limits = limits
        self._promptness = Promptness()
        self._desk = desk
        self._page = page
        self._patience = patience
        self._link: Link | None = None
        self._lock = threading.Lock()
        self._exchange: Exchange | None = None
        self._broken: BrokerError | None = None
        self._settled = 0
        self._unrun = 0  # of these: judged before their start
        self._told = 0  # of the settled, when somebody asked how many

    @property
    def is_open(self) -> bool:
        return self._link is not None

    @property
    def under_way(self) -> bool:
        """Whether something was sent whose outcome nobody knows yet."""
        return self._exchange is not None

    def open(self) -> str:
        """Connect, load the scripts and take the lease; give the store's epoch.

        Raises BrokerError, Fenced, OtherFormat.
        """
        link = Link(self._client, blocking_for=self._patience)
        try:
            link.load(_LOADED)
            [reply] = link.roundtrip([self._question()])
            epoch = epoch_of(reply, self._namespace)
            # A lease of ours may still stand from before the connection broke; joining renews it.
            join = self._commands.join(
                self._incarnation, self._lease_ms, self._policy, self._hooks, self._limits,
                self._page.cells,
            )  # fmt: skip
            asked_at = monotonic()
            [joined] = link.roundtrip([join])
            self._promptness.note(monotonic() - asked_at)
            refuse_fenced(joined)
        except BaseException:
            link.close()
            raise
        self._link = link
        return epoch

    def open_beside(self) -> None:
        """Connect for a second talk of one worker: the first has the lease. Raises BrokerError."""
        link = Link(self._client, blocking_for=self._patience)
        try:
            link.load(_LOADED)
        except BaseException:
            link.close()
            raise
        self._link = link

    def is_sound(self) -> bool:
        """Say whether the link, if there is one, is still what it was: tasks close what is not theirs."""
        link = self._link
        return link is None or link.is_ours()

    def close(self) -> None:
        """Let go of the link. What was not answered is ours to settle again: a repeat finds it gone."""
        with self._lock:
            exchange, self._exchange, self._broken = self._exchange, None, None
            if self._link is not None:
                self._link.close(forget=exchange is not None)
                self._link = None
        if exchange is not None:
            self._desk.ended.put_back(exchange.ended)
            self._desk.figures.put_back(exchange.sums)

    def put(
        self, *, slots: int, wait: Command | None = None, batches: bool = True, ahead: bool = False
    ) -> None:
        """Send: settle what has ended, then claim for so many free slots. Raises BrokerError.

        `wait` is a blocking command to be carried out between the two. Without `batches` no more
        jobs come than there are slots, however fast they are. With `ahead` a job of a queue with a
        rate limit may come a little before its start (`Claim.wait_ms`): whoever asks so waits for it.
        """
        exchange = self._settlement()
        exchange.is_prompt = wait is None and slots > 0
        self._claim(exchange, slots, wait, batches=batches, ahead=ahead)

    def put_waiting(self, *, slots: int, wait: Command, batches: bool) -> None:
        """Send: claim once `wait` has ended. Settles nothing: that is another link's business."""
        self._claim(Exchange([]), slots, wait, batches=batches, ahead=False)

    def wait(self, command: Command) -> None:
        """Send a blocking command alone. Raises BrokerError."""
        self._send(Exchange([command]))

    def nudge(self) -> None:
        """Make the server look at its clock: an idle one ends a blocking command up to 100 ms late,
        and whatever comes in, also behind that command, wakes it. Raises BrokerError."""
        with self._lock:
            if self._link is not None and self._exchange is not None:
                self._exchange.calls.append(["PING"])
                self._link.send([["PING"]])

    def settle(self, *, hint: bool = False) -> None:
        """Settle what has ended, as much as goes at once, and hand back what shall not run. Raises
        BrokerError, Fenced.

        `hint` is for where jobs at once are bounded: there is a place free now, which nobody else
        was told of.
        """
        exchange = self._settlement()
        if exchange.calls:
            if hint:
                exchange.calls.append(self._commands.wake())
            self._send(exchange)
            self.land()

    def leave(self) -> None:
        """Settle all that has ended and hand back what has not begun. Raises BrokerError, Fenced."""
        self._desk.give_up_unstarted()
        self.settle(hint=True)
        while self._desk.done or self._desk.endings:
            self._page.beat(monotonic())
            self.settle(hint=True)

    def ask(self, call: Command) -> list[bytes]:
        """Carry out one call when nothing is under way. Raises BrokerError, Fenced."""
        assert self._link is not None
        assert self._exchange is None
        [reply] = self._link.roundtrip([call])
        refuse_fenced(reply)
        answer: list[bytes] = reply
        return answer

    def refuse_other_format(self) -> None:
        """Ask whether the store is still one that we know; nothing is under way. Raises OtherFormat."""
        epoch_of(self.ask(self._question()), self._namespace)

    def _question(self) -> Command:
        return epoch_command(self._namespace, secrets.token_hex(8))

    def land(self) -> Claim | None:
        """Take in what is under way: its jobs go to the desk. Raises BrokerError, Fenced."""
        with self._lock:
            if self._broken is not None:
                raise self._broken
            exchange = self._exchange
            if exchange is None:
                return None
            try:
                claim = self._read(exchange)
            except BrokerError as error:
                self._broken = error  # whoever met it first: the main thread will hear of it
                raise
            self._exchange = None
            return claim

    def count(self, ended: list[Bite]) -> None:
        """Hear that these jobs were settled, and say so on the page."""
        self._desk.ended.settled(ended)
        for done, endings, _ in ended:
            self._settled += len(done) + len(endings)
            self._unrun += sum(ending.cause in WITHOUT_A_RUN for ending in endings)
        self._page.set_settled(self._settled)
        self._page.set_ran(self._settled - self._unrun)

    def count_new(self) -> int:
        """Say how many more jobs were settled than when this was last asked."""
        told, self._told = self._told, self._settled
        return self._settled - told

    def fileno(self) -> int:
        """Give the socket, for waiting on it beside other things."""
        assert self._link is not None
        return self._link.fileno()

    @property
    def patient_until(self) -> float:
        """When the answer to what is under way is late; never, if nothing is."""
        exchange = self._exchange
        return math.inf if exchange is None else exchange.sent_at + self._patience

    def refuse_late(self) -> None:
        """Have nobody wait any more for an answer that is late: the link has lost it.

        For whoever waits beside the link: a read from it would begin to be patient by then. Raises
        BrokerUnavailable.
        """
        if self._link is not None and monotonic() >= self.patient_until:
            self._link.refuse_silence()

    def _read(self, exchange: Exchange) -> Claim | None:
        assert self._link is not None
        replies = self._link.collect(exchange.calls)
        # First: of an exchange that cannot be read nothing is taken in, as if it had been lost.
        claim = _claim_of(exchange, replies)
        for jots, reply in zip(exchange.jots, replies, strict=False):
            refuse_fenced(reply)
            self._desk.notes.heard(jots, reply)
        if exchange.ended:
            for reply in replies[len(exchange.jots) :][: len(exchange.ended)]:
                refuse_fenced(reply)
            self.count(exchange.ended)
        if isinstance(claim, Fenced):
            raise claim
        if claim is None:
            if exchange.ended:  # that is progress, though it may be a while until the next claim
                self._page.asked(monotonic())
            return None
        now = monotonic()
        self._page.asked(now)
        start_by = self._promptness.start_by(exchange.sent_at, claim.within_ms, claim.wait_ms)
        if exchange.is_prompt:  # for the next: its own slowness excuses none
            self._promptness.note(now - exchange.sent_at)
        self._desk.load(claim, now, start_by)
        return claim

    def _claim(
        self, exchange: Exchange, slots: int, wait: Command | None, *, batches: bool, ahead: bool
    ) -> None:
        if wait is not None:
            exchange.calls.append(wait)
        exchange.claims = len(exchange.calls)
        exchange.calls.append(
            self._commands.claim(
                self._incarnation,
                self._lease_ms,
                slots=slots,
                budget_us=BUDGET_US if batches else 0,
                ahead_ms=AHEAD_MS if ahead and exchange.is_prompt else 0,
                costs=self._desk.costs.flat(self._desk.pace),
            )
        )
        self._send(exchange)

    def _send(self, exchange: Exchange) -> None:
        assert self._link is not None
        with self._lock:
            assert self._exchange is None
            self._exchange = exchange
            exchange.sent_at = monotonic()
            self._link.send(exchange.calls)

    def _settlement(self) -> Exchange:
        """Spell what is to be said of the jobs at hand: those that ended, those that shall not run."""
        exchange = Exchange([])
        exchange.ended = self._desk.take_ended()
        if exchange.ended:
            # Looked at after the ends, so that all words of these are there; sent before them, since to
            # a run whose job is settled nobody listens. What is not answered is still in the notebook.
            exchange.jots = self._desk.notes.spell(ids_of(exchange.ended))
            exchange.calls += [
                self._commands.jot(self._incarnation, jots) for jots in exchange.jots
            ]
            exchange.sums = self._desk.figures.take_sums()
            settle = partial(
                self._commands.settle, self._incarnation, self._lease_ms, keep=self._policy.completed_count
            )  # fmt: skip
            exchange.calls += settles(settle, exchange.ended, exchange.sums)
        if refused := take_all(self._desk.revoked):
            # Should this not arrive, reconcile finds what we hold and do not know.
            jobs = [(job.id, job.claim) for job in refused]
            exchange.calls.append(self._commands.hand_back(self._incarnation, jobs))
        return exchange


def _claim_of(exchange: Exchange, replies: list[Reply]) -> Claim | Fenced | None:
    """Read what was claimed, if anything was to be; a fence is for later: what was settled is settled."""
    if exchange.claims is None:
        return None
    try:
        return read_claim(replies[exchange.claims])
    except Fenced as fenced:
        return fenced
