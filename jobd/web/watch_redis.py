"""Looking at Redis: does it answer, and is it fit to hold jobs?

One connection with a short patience, asked once a second; a look that hangs is itself the finding, for
`seen` grows old. What the server says of itself is read every few seconds, and after each new connection:
another server may answer then.
"""

from __future__ import annotations

from jobd.broker.connection import Client, place_of, translated
from jobd.broker.server import read_facts
from jobd.core.errors import BrokerError, BrokerUnavailable, NotPermitted
from jobd.core.health import RedisSeen
from jobd.core.server_facts import Unfit, judge
from jobd.seams.clock import mono

EVERY = 1.0
PATIENCE = 1.0
FACTS_EVERY = 5.0


class RedisWatch:
    """Looks. `client` belongs to the thread that does; its time-out is PATIENCE. Read `seen`."""

    def __init__(self, client: Client, *, keeps_nothing: bool) -> None:
        self.seen = RedisSeen()
        self._client = client
        self._place = place_of(client)
        self._keeps_nothing = keeps_nothing
        self._facts_at = -FACTS_EVERY
        self._unfit: tuple[Unfit, ...] = ()

    def look(self) -> None:
        """Look once."""
        try:
            self._ping()
            self.seen = RedisSeen(answered_at=mono(), unfit=self._unfit)
            self._read_facts()
        except BrokerError as error:
            self._facts_at = -FACTS_EVERY
            self.seen = RedisSeen(
                answered_at=self.seen.answered_at, trouble=str(error), unfit=self._unfit
            )
            return
        self.seen = RedisSeen(answered_at=mono(), unfit=self._unfit)

    def _ping(self) -> None:
        began = mono()
        try:
            self._ask()
        except BrokerUnavailable:
            # A connection that was closed while it was idle says nothing about the server now.
            if mono() - began > PATIENCE / 2:
                raise
            self._facts_at = -FACTS_EVERY
            self._ask()

    def _ask(self) -> None:
        with translated(self._place):
            self._client.ping()

    def _read_facts(self) -> None:
        now = mono()
        if now < self._facts_at + FACTS_EVERY:
            return
        try:
            self._unfit = tuple(judge(read_facts(self._client), keeps_nothing=self._keeps_nothing))
        except NotPermitted:
            self._unfit = ()  # our user may not ask: nothing is known, and nothing is held against it
        self._facts_at = now
