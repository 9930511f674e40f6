"""Duty: a bad server is named, at the start and when it becomes one.

It is asked after every new connection and every ten seconds. What is wrong is told once, and again when
it was mended in between. A user who may not ask is no reason to stop: nothing is known then.
"""

from __future__ import annotations

from jobd.broker.connection import Client
from jobd.broker.server import read_facts
from jobd.core.errors import NotPermitted
from jobd.core.server_facts import Unfit, judge

EVERY = 10.0


class Inspector:
    """Looks at one server. `keeps_nothing`: that it has no persistence was wanted."""

    def __init__(self, client: Client, *, keeps_nothing: bool) -> None:
        self._client = client
        self._keeps_nothing = keeps_nothing
        self._told: list[Unfit] = []
        self._due = 0.0

    def forget(self) -> None:
        """Look again at once: the connection broke, and another server may answer now."""
        self._due = 0.0

    def look(self, now: float) -> list[Unfit]:
        """Give what is wrong and was not so at the last look. Raises BrokerError."""
        if now < self._due:
            return []
        try:
            found = judge(read_facts(self._client), keeps_nothing=self._keeps_nothing)
        except NotPermitted:
            found = []
        self._due = now + EVERY
        fresh = [unfit for unfit in found if unfit not in self._told]
        self._told = found
        return fresh
