"""The side thread: while a job overstays, nothing may wait behind it.

It lands the exchange that is under way, settles what is finished and hands back what is not
started, over a connection of its own. It sleeps unless a batch is open, and then looks 40 times a
second; where a task holds the GIL it cannot look, and the keeper does its duty through the page's
`revoked`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from jobd.broker.commands import Claimed, QueueCommands
from jobd.broker.connection import Client
from jobd.broker.link import Link
from jobd.broker.replies import refuse_fenced
from jobd.broker.scripts import SCRIPTS
from jobd.core.errors import BrokerError
from jobd.seams.clock import monotonic
from jobd.worker.desk import Desk
from jobd.worker.ended import Bite, ids_of, settles
from jobd.worker.lane import Lane
from jobd.worker.take import take_all
from jobd.worker.talk import Talk

LOOK_EVERY = 0.025
OVERSTAYED = 0.05
AFTER_TROUBLE = 0.5


class SideThread:
    """Watches one lane. Whoever holds `hands` may be sure that it has nothing in them."""

    def __init__(
        self,
        *,
        desk: Desk,
        lane: Lane,
        talk: Talk,
        client: Client,
        commands: QueueCommands,
        incarnation: str,
        lease_ms: int,
        keep: int,
        stopping: Callable[[], bool],
    ) -> None:
        self._desk = desk
        self._lane = lane
        self._talk = talk
        self._client = client
        self._commands = commands
        self._incarnation = incarnation
        self._lease_ms = lease_ms
        self._keep = keep
        self._stopping = stopping
        self._link: Link | None = None
        self._open = threading.Event()
        self._ended = False
        self.hands = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="jobd-side", daemon=True)

    def start(self) -> None:
        """Begin watching."""
        self._thread.start()

    def batch_opened(self) -> None:
        """Say that more than one job is at hand: somebody could wait."""
        self._open.set()

    def batch_closed(self) -> None:
        """Say that there is nothing to watch."""
        self._open.clear()

    def stop(self) -> None:
        """End the thread; it may finish a round trip."""
        self._ended = True
        self._open.set()
        self._thread.join(5)

    def _watch(self) -> None:
        pause = threading.Event()
        while not self._ended:
            self._open.wait()
            pause.wait(LOOK_EVERY)
            if not self._ended and self._overstayed():
                try:
                    self._clear_the_table()
                except BrokerError:
                    # The main loop meets the same server next and says so; what we had in hand is
                    # either back in its deques or found by reconcile.
                    if self._link is not None:
                        self._link.close()
                        self._link = None
                    # A server that is away is not asked forty times a second.
                    pause.wait(AFTER_TROUBLE)

    def _overstayed(self) -> bool:
        desk = self._desk
        if self._lane.running is None or not (
            desk.unstarted or desk.done or desk.endings or self._talk.under_way
        ):
            return False
        return self._stopping() or monotonic() - self._lane.started > OVERSTAYED

    def _clear_the_table(self) -> None:
        with self.hands:
            self._talk.land()
            # Unstarted jobs are not ours to start any more, whatever becomes of the call below.
            unstarted = take_all(self._desk.unstarted)
            while (ended := self._desk.take_ended()) or unstarted:
                try:
                    self._send(unstarted, ended)
                except BrokerError:
                    self._desk.ended.put_back(ended)
                    raise
                self._talk.count(ended)
                unstarted = []

    def _send(self, unstarted: list[Claimed], ended: list[Bite]) -> None:
        if self._link is None:
            link = Link(self._client)
            link.load([SCRIPTS["hand_back"], SCRIPTS["settle"], SCRIPTS["jot"]])
            self._link = link
        jots = self._desk.notes.spell(ids_of(ended))
        calls = [self._commands.jot(self._incarnation, each) for each in jots]
        if unstarted:
            jobs = [(job.id, job.claim) for job in unstarted]
            calls.append(self._commands.hand_back(self._incarnation, jobs))
        if ended:
            settle = partial(
                self._commands.settle, self._incarnation, self._lease_ms, keep=self._keep
            )
            calls += settles(settle, ended)
        replies = self._link.roundtrip(calls)
        for reply in replies:
            refuse_fenced(reply)
        for each, reply in zip(jots, replies, strict=False):
            self._desk.notes.heard(each, reply)
