"""Duty: the leases of this host's living workers stay open.

A thread and a connection of their own, which do nothing else: no other duty, however slow, may cost
a healthy worker its lease. One call a queue, whatever the number of jobs.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable

from jobd.broker.connection import Client
from jobd.broker.store import Store, read_epoch
from jobd.core.errors import BrokerError, OtherFormat
from jobd.keeper.fleet import Alive
from jobd.seams.scoreboard import Scoreboard
from jobd.seams.scoreboard_views import Phase


def renew_timeout(lease: float) -> float:
    """How long a renewal waits for its answer, in seconds: well below a lease, whatever that is.

    A server that was frozen then finds several renewals waiting when it comes back, and carries them
    out before anybody's reaper can look a second time: leaving a call does not take it back.
    """
    return min(2.0, max(0.2, lease / 6))


class Renewer:
    """Renews every `period` seconds. `fenced` collects the incarnations found without a lease."""

    def __init__(
        self,
        *,
        client: Client,
        namespace: str,
        lease: float,
        alive: Callable[[], list[Alive]],
        board: Scoreboard,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._lease_ms = round(lease * 1000)
        self._period = lease / 6
        self._alive = alive
        self._board = board
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="jobd-renew", daemon=True)
        self._epoch = ""
        self._seen_open: set[str] = set()  # since the store was made
        self.fenced: set[str] = set()
        self.rounds = 0
        self.turns = 0  # rounds that failed included

    def start(self) -> None:
        """Begin, unless it has begun."""
        if not self._thread.ident:
            self._thread.start()

    def stop(self) -> None:
        """End."""
        self._ended.set()

    def once(self) -> None:
        """Renew once. Raises BrokerError."""
        queues: dict[str, list[str]] = {}
        for worker in self._alive():
            view = self._board.pages[worker.page].view()
            joined = view is not None and view.incarnation == worker.incarnation
            if joined and view is not None and view.phase not in (Phase.VACANT, Phase.BOOTING):
                queues.setdefault(worker.queue, []).append(worker.incarnation)
        missing: set[str] = set()
        for queue, incarnations in queues.items():
            store = Store(self._client, self._namespace, queue)
            missing |= set(store.renew(self._lease_ms, incarnations))
        asked = {name for names in queues.values() for name in names}
        # A lease that went with the whole store is nobody's fence: its worker learns of the reset
        # when it settles what it runs, and joins then. So only one that we have seen open counts.
        epoch = self._read_epoch()
        if epoch == self._epoch:
            self._seen_open = (self._seen_open | (asked - missing)) & asked
        else:
            self._seen_open.clear()  # what was renewed just now may have been in the old store
            self._epoch = epoch
        self.fenced = missing & self._seen_open
        self.rounds += 1

    def _read_epoch(self) -> str:
        """Ask which life the store lives. In a format that we do not know it is none that we have seen.

        The main loop says so, and does nothing else there. What runs keeps its lease: the job would be
        begun a second time else, while it runs here. Nothing but a score moves for that.
        """
        try:
            return read_epoch(self._client, self._namespace, secrets.token_hex(8))
        except OtherFormat:
            return secrets.token_hex(8)

    def _loop(self) -> None:
        while not self._ended.is_set():
            try:
                self.once()
                wait = self._period
            except BrokerError:
                # The main loop says it. A reaper elsewhere, to whom the store answers again in the
                # same instant, waits one period for us: what we try must come well within it.
                wait = min(1.0, self._period / 4)
            self.turns += 1
            self._ended.wait(wait)
