"""The keeper: the host's Redis duties, one after another, each run once when it is due.

It hears the whole fleet from the supervisor, again and again, and answers with what it released.
While Redis is away it goes on listening: supervision does not wait for Redis.
"""

from __future__ import annotations

import secrets
import select
from collections.abc import Callable, Iterable
from contextlib import suppress

import msgspec

from jobd.broker.backlog import Backlogs
from jobd.broker.connection import Client
from jobd.broker.layout import Guard
from jobd.broker.store import Store, register_queues, store_ms
from jobd.broker.tally_past import remember
from jobd.broker.views import Views
from jobd.core.errors import BrokerError, StoreFull
from jobd.core.events import Event
from jobd.core.options import Policy
from jobd.core.store_events import (
    BrokerBack,
    BrokerLost,
    JobsRevoked,
    LeaseReaped,
    StoreDoubtful,
    StoreUnfit,
)
from jobd.keeper.figures import Figures
from jobd.keeper.fleet import Fleet
from jobd.keeper.heed import EVERY as HEED_EVERY
from jobd.keeper.heed import heed
from jobd.keeper.hosts import Speaker
from jobd.keeper.inspect import Inspector
from jobd.keeper.orders import Orderly
from jobd.keeper.reap import Reaper
from jobd.keeper.release import Releaser
from jobd.keeper.renew import Renewer
from jobd.keeper.revoke import Revoker
from jobd.keeper.schedules import Scheduler
from jobd.keeper.tidy import Tidier
from jobd.keeper.whereabouts import Whereabouts
from jobd.seams.clock import mono, wall_ms
from jobd.seams.lines import Lines
from jobd.seams.scoreboard import Scoreboard

TICK = 0.1
TIDY_EVERY = 1.0
PULSE_EVERY = 0.5
# Whether it is time to keep how tallies stand is asked so often.
REMEMBER_EVERY = 60.0
# Queues that are served elsewhere, or nowhere, are looked at too; once in so many rounds.
TIDY_ALL = 10
# The pauses between two tries to reach Redis; the last one is repeated.
BACKOFF = (0.0, 0.1, 0.2, 0.5, 1.0)


class Keeper:
    """All duties of one host. `run` ends when the supervisor says so, or is gone."""

    def __init__(
        self,
        *,
        client: Client,
        renewing: Client,
        namespace: str,
        lease: float,
        keeps_nothing: bool = False,
        queues: Iterable[str],
        elastic: Iterable[str] = (),
        retention: Callable[[str], Policy],
        channel: Lines,
        board: Scoreboard,
        scheduler: Scheduler,
        speaker: Speaker,
        orderly: Orderly,
        emit: Callable[[Event], None],
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._lease = lease
        self._queues = set(queues)
        self._channel = channel
        self._board = board
        self._scheduler = scheduler
        self._figures = Figures(Backlogs(client, namespace), elastic)
        scheduler.on_call = self._pulse_when_due
        self._speaker = speaker
        self._orderly = orderly
        self._known: list[str] = []
        self._emit = emit
        self._releaser = Releaser(client=client, store=self._store, emit=emit)
        self._fleet = Fleet()
        self._stores: dict[str, Store] = {}
        self._reapers: dict[str, Reaper] = {}
        self._revokers: dict[str, Revoker] = {}
        self._reap_at = 0.0
        self._heed_at = 0.0
        self._tidy_at = 0.0
        self._tidied = 0
        self._remember_at = 0.0
        self._failures = 0
        self._lost_as: set[str] = set()  # what was told of them: each kind once
        self._try_at = 0.0
        self._pulse_at = 0.0
        self._tidier = Tidier(
            name=secrets.token_hex(8), store=self._store, retention=retention, clock=mono
        )
        self._guard = Guard(client, namespace, every=lease / 3)
        self._inspector = Inspector(client, keeps_nothing=keeps_nothing)
        self._renewer = Renewer(
            client=renewing,
            namespace=namespace,
            lease=lease,
            alive=lambda: self._fleet.alive,
            board=board,
        )

    def run(self) -> None:
        """Do the duties until told to stop."""
        while not self._channel.closed:
            self._listen()
            if self._fleet.stopping and not self._to_release():
                self._leave()
                break
            if mono() >= self._try_at:
                try:
                    self._duties(mono())
                    self._say_back()
                except BrokerError as error:
                    self._say_lost(error)
            self._answer()
        self._renewer.stop()

    def _leave(self) -> None:
        """Take back what was said of this host: it ends in order."""
        try:
            self._speaker.unsay()
        except BrokerError as error:  # then its word grows old, and is forgotten
            self._say_lost(error)

    def _listen(self) -> None:
        """Hear the supervisor, for a tick; in its pauses, go on with what is to be tidied."""
        until = mono() + TICK
        while not self._hears(min(until, self._tidier.due)) and mono() < until:
            try:
                self._tidier.go_on()
            except BrokerError as error:
                self._say_lost(error)
                break
        for message in self._channel.receive():
            if isinstance(message, dict) and "fleet" in message:
                self._fleet = msgspec.convert(message["fleet"], Fleet)
                # Not before it knows whom to renew: its first round is at once, the next a period later.
                self._renewer.start()
                self._releaser.released &= {dead.incarnation for dead in self._fleet.dead}
                self._queues |= {worker.queue for worker in self._fleet.alive}

    def _hears(self, until: float) -> bool:
        wait = max(0.0, until - mono())
        return bool(select.select([self._channel.fileno()], [], [], wait)[0])

    def _to_release(self) -> list[str]:
        return [
            d.incarnation for d in self._fleet.dead if d.incarnation not in self._releaser.released
        ]

    def _answer(self) -> None:
        if self._releaser.released:
            self._channel.send({"released": sorted(self._releaser.released)})
        if fenced := self._renewer.fenced & {w.incarnation for w in self._fleet.alive}:
            self._channel.send({"fenced": sorted(fenced)})
        self._pulse()
        if figures := self._figures.message(mono()):
            self._channel.send(figures)

    def _pulse(self) -> None:
        """Say that we get on, also between the calls of a long duty: who is silent is taken for hung."""
        self._pulse_at = mono() + PULSE_EVERY
        self._channel.send({"beat": self._renewer.turns, "rounds": self._renewer.rounds})

    def _pulse_when_due(self) -> None:
        if mono() >= self._pulse_at:
            self._pulse()

    def _duties(self, now: float) -> None:
        self._guard.look(now)  # before all: in a format that we do not know nothing is moved
        for unfit in self._inspector.look(now):
            event = StoreUnfit if unfit.level == "error" else StoreDoubtful
            self._emit(event(why=unfit.why))
        self._releaser.work(self._fleet.dead, wall_ms())
        self._figures.look(now)
        self._revoke(now)
        if now >= self._reap_at:
            self._reap()
        if now >= self._tidy_at:
            self._tidy_at = now + TIDY_EVERY
            self._tidy()
        if now >= self._heed_at:
            self._heed_at = now + HEED_EVERY
            heed(self._fleet.alive, board=self._board, store=self._store)
        # Last, since a full store refuses what is due.
        self._scheduler.work(self._known, now)
        self._speaker.work(now)
        self._orderly.work(now)
        self._remember(now)

    def _revoke(self, now: float) -> None:
        alive = {worker.incarnation: worker for worker in self._fleet.alive}
        self._revokers = {name: r for name, r in self._revokers.items() if name in alive}
        for name, worker in alive.items():
            if name not in self._revokers:
                page = self._board.pages[worker.page]
                self._revokers[name] = Revoker(page, self._store(worker.queue), name)
            if jobs := self._revokers[name].look(now):
                self._emit(JobsRevoked(incarnation=name, queue=worker.queue, jobs=jobs))

    def _remember(self, now: float) -> None:
        """Have it kept how the queues of this host stand; a full store need not."""
        if now < self._remember_at:
            return
        self._remember_at = now + REMEMBER_EVERY
        with suppress(StoreFull):
            remember(self._client, self._namespace, sorted(self._queues))

    def _reap(self) -> None:
        ours = {worker.incarnation for worker in self._fleet.alive}
        ours |= {dead.incarnation for dead in self._fleet.dead}
        store_now = store_ms(self._client)
        again = self._lease / 6
        self._known = self._known_queues()
        where = Whereabouts(self._client, self._namespace)
        for queue in self._known:
            reaper = self._reapers.setdefault(
                queue, Reaper(self._store(queue), lease=self._lease, period=self._lease / 6)
            )
            reaped, soon = reaper.look(
                ours=ours, store_now=store_now, clock=mono, host_of=where.host_of
            )
            again = min(again, soon)
            for name in reaped:
                self._emit(LeaseReaped(incarnation=name, queue=queue))
        self._reap_at = mono() + again

    def _tidy(self) -> None:
        everywhere = self._tidied % TIDY_ALL == 0
        self._tidier.begin(self._known_queues() if everywhere else sorted(self._queues))
        self._tidied += 1
        # Last, since it is the one duty that a full store may refuse.
        register_queues(self._client, self._namespace, self._queues)

    def _known_queues(self) -> list[str]:
        return sorted(self._queues.union(Views(self._client, self._namespace).queues()))

    def _store(self, queue: str) -> Store:
        self._pulse_when_due()
        if queue not in self._stores:
            self._stores[queue] = Store(self._client, self._namespace, queue)
        return self._stores[queue]

    def _say_lost(self, error: BrokerError) -> None:
        if not isinstance(error, StoreFull):  # a refusal over a connection that stands
            for reaper in self._reapers.values():
                reaper.forget()
            self._scheduler.forget()
            self._inspector.forget()
            self._guard.forget()
            self._tidier.forget()
            self._figures.lost()
            self._try_at = mono() + BACKOFF[min(self._failures, len(BACKOFF) - 1)]
        if error.code not in self._lost_as:
            self._lost_as.add(error.code)
            self._emit(BrokerLost(why=str(error)))
        self._failures += 1

    def _say_back(self) -> None:
        if self._failures:
            self._failures = 0
            self._lost_as.clear()
            self._emit(BrokerBack())
