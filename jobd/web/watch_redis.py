"""Looking at Redis: does it answer, and is it fit to hold jobs?

One connection with a short patience, asked once a second; a look that hangs is itself the finding, for
`seen` grows old. What the server says of itself is read every few seconds, and at the next look where
another server may answer, or this one was unfit.
"""

from __future__ import annotations

from msgspec.structs import replace

from jobd.broker.connection import Client, place_of, translated
from jobd.broker.layout import refuse_other_format
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

    def __init__(
        self,
        client: Client,
        *,
        namespace: str = "jobd",
        keeps_nothing: bool,
        facts_every: float = FACTS_EVERY,
    ) -> None:
        self.seen = RedisSeen()
        self._client = client
        self._namespace = namespace
        self._place = place_of(client)
        self._keeps_nothing = keeps_nothing
        self._facts_every = facts_every
        self._facts_due = 0.0
        self._unfit: tuple[Unfit, ...] = ()

    def look(self) -> None:
        """Look once."""
        began = mono()
        try:
            self._ping()
            self.seen = replace(self.seen, answered_at=mono(), trouble=None)
            self._read_facts()
        except BrokerError as error:
            self._facts_due = 0.0
            self._found(began, self.seen.answered_at, str(error))
        else:
            self._found(began, mono(), None)

    def _found(self, began: float, answered_at: float | None, trouble: str | None) -> None:
        found = RedisSeen(
            answered_at=answered_at, trouble=trouble, unfit=self._unfit, lost_at=self.seen.lost_at
        )
        is_of_use = trouble is None and not found.is_unfit
        self.seen = found if is_of_use else replace(found, lost_at=began)

    def _ping(self) -> None:
        began = mono()
        try:
            self._ask()
        except BrokerUnavailable:
            # A connection that was closed while it was idle says nothing about the server now.
            if mono() - began > PATIENCE / 2:
                raise
            self._facts_due = 0.0
            self._ask()

    def _ask(self) -> None:
        with translated(self._place):
            self._client.ping()

    def _read_facts(self) -> None:
        now = mono()
        if now < self._facts_due and not self.seen.is_unfit:
            return
        refuse_other_format(self._client, self._namespace)
        try:
            self._unfit = tuple(judge(read_facts(self._client), keeps_nothing=self._keeps_nothing))
        except NotPermitted:
            self._unfit = ()  # our user may not ask: nothing is known, and nothing is held against it
        self._facts_due = now + self._facts_every
