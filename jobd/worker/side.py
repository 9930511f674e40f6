"""The side thread: while a job overstays, nothing may wait behind it.

It settles what is finished and hands back what is not started, over a connection of its own. It
sleeps unless a batch is open, and then looks 40 times a second; where a task holds the GIL it
cannot look, and the keeper does its duty through the page's `revoked`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from jobd.broker.commands import Completed, Ending, QueueCommands, refuse_fenced
from jobd.broker.connection import Client, Link
from jobd.broker.scripts import SCRIPTS
from jobd.core.errors import BrokerError
from jobd.seams.clock import monotonic
from jobd.worker.inline import InlineExecutor, Ticket

T = TypeVar("T")

LOOK_EVERY = 0.025
OVERSTAYED = 0.05
AFTER_TROUBLE = 0.5


class SideThread:
    """Watches one executor. `known` names what the worker has not settled yet, for reconcile."""

    def __init__(
        self,
        *,
        executor: InlineExecutor,
        client: Client,
        commands: QueueCommands,
        incarnation: str,
        lease_ms: int,
        keep: int,
        stopping: Callable[[], bool],
    ) -> None:
        self._executor = executor
        self._client = client
        self._commands = commands
        self._incarnation = incarnation
        self._lease_ms = lease_ms
        self._keep = keep
        self._stopping = stopping
        self._link: Link | None = None
        self._open = threading.Event()
        self._ended = False
        # Held while ends change hands, so that `known` never finds one in neither.
        self._passing = threading.Lock()
        self._in_hand: set[bytes] = set()
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

    def known(self) -> set[bytes]:
        """Name every job at hand that is not settled. Called by the worker's main thread."""
        executor = self._executor
        with self._passing:
            known = {job.id for job in executor.done} | {end.id for end in executor.endings}
            known |= self._in_hand
        # Only ever emptied by the side thread while this runs: copied whole before it is looked at.
        return known | {ticket.job.id for ticket in executor.unstarted.copy()}

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
                    # The main loop meets the same server next and says so; what we held is either
                    # back in its deques or found by reconcile.
                    if self._link is not None:
                        self._link.close()
                        self._link = None
                    # A server that is away is not asked forty times a second.
                    pause.wait(AFTER_TROUBLE)

    def _overstayed(self) -> bool:
        executor = self._executor
        if executor.running is None or not (
            executor.unstarted or executor.done or executor.endings
        ):
            return False
        return self._stopping() or monotonic() - executor.started > OVERSTAYED

    def _clear_the_table(self) -> None:
        # Unstarted jobs are not ours to start any more, whatever becomes of the call below.
        unstarted = _take(self._executor.unstarted)
        with self._passing:
            done, endings = _take(self._executor.done), _take(self._executor.endings)
            self._in_hand = {job.id for job in done} | {end.id for end in endings}
        try:
            self._send(unstarted, done, endings)
        except BrokerError:
            with self._passing:
                self._executor.done.extendleft(reversed(done))
                self._executor.endings.extendleft(reversed(endings))
                self._in_hand = set()
            raise
        self._in_hand = set()

    def _send(self, unstarted: list[Ticket], done: list[Completed], endings: list[Ending]) -> None:
        if self._link is None:
            link = Link(self._client)
            link.load([SCRIPTS["hand_back"], SCRIPTS["settle"]])
            self._link = link
        calls = []
        if unstarted:
            jobs = [(ticket.job.id, ticket.claim) for ticket in unstarted]
            calls.append(self._commands.hand_back(self._incarnation, jobs))
        if done or endings:
            calls.append(
                self._commands.settle(
                    self._incarnation,
                    self._lease_ms,
                    keep=self._keep,
                    completed=done,
                    endings=endings,
                )
            )
        for reply in self._link.roundtrip(calls):
            refuse_fenced(reply)


def _take(line: deque[T]) -> list[T]:
    """Empty a deque that another thread fills and empties."""
    taken = []
    while True:
        try:
            taken.append(line.popleft())
        except IndexError:
            return taken
