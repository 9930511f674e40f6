"""What the menu of every page counts: the dead, and the alerts that fire.

Invariant: however many pages are looked at, it is read once in AGE seconds at most. Called by the routes.
"""

from __future__ import annotations

import threading

import msgspec

from jobd.broker.connection import place_of, translated
from jobd.broker.keys import QueueKeys
from jobd.core.errors import BrokerError
from jobd.seams import clock
from jobd.web.api.house import House
from jobd.web.api.rules import read_rules

AGE = 2.0
"""Seconds for which what was read is good enough."""


class Counts(msgspec.Struct, frozen=True):
    """None where nobody knows it now."""

    dead: int | None = None
    firing: int | None = None


class Badges:
    """Reads them, for all pages of one house. Used from several threads."""

    def __init__(self, house: House, *, age: float = AGE) -> None:
        self._house = house
        self._age = age
        self._lock = threading.Lock()
        self._read_at: float | None = None
        self._counts = Counts()

    def read(self) -> Counts:
        """Give what was read last, or read it."""
        with self._lock:
            now = clock.mono()
            if self._read_at is None or now - self._read_at >= self._age:
                self._counts, self._read_at = self._ask(), now
            return self._counts

    def _ask(self) -> Counts:
        try:
            rules = read_rules(self._house).rules
            return Counts(self._dead(), sum(rule.state == "firing" for rule in rules))
        except BrokerError:
            return Counts()  # the page itself says what is wrong

    def _dead(self) -> int:
        client = self._house.client
        with translated(place_of(client)):
            pipe = client.pipeline(transaction=False)
            for queue in self._house.views().queues():
                pipe.zcard(QueueKeys(self._house.namespace, queue).dead)
            replies = pipe.execute(raise_on_error=False)
        # Where a stranger has put something else there is none.
        return sum(reply for reply in replies if isinstance(reply, int))
