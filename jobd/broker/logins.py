"""How often a password may be tried: counted in Redis, over all hosts, in bounded memory.

Invariant: a try is charged before the password is looked at, and what cannot be charged is not tried:
BrokerError is raised. Used by jobd.web.auth.
"""

from __future__ import annotations

from typing import NamedTuple

from jobd.broker.connection import Client, run
from jobd.broker.keys import SharedKeys
from jobd.broker.scripts import SCRIPTS
from jobd.broker.sessions import digest

_DAY_MS = 86_400_000


class Limit(NamedTuple):
    """So many tries at once, and one more each time this span (ms) has gone by."""

    burst: int
    every_ms: int


OF_ADDRESS = Limit(10, 60_000)
OF_USER = Limit(20, 30_000)
# Addresses and users that have tried of late; and from where somebody's right password came.
MOST_KEPT = 10_000
KNOWN_FOR_MS = 30 * _DAY_MS


class Try(NamedTuple):
    """An allowed try (`wait_ms` 0), and what it was charged to; or for how long none is."""

    wait_ms: int
    address: str
    user: str
    charged: tuple[str, str]


class Tries:
    """The tries of one namespace. `now` injects a store time in ms for tests."""

    def __init__(self, client: Client, namespace: str, *, now: int | None = None) -> None:
        self._client = client
        keys = SharedKeys(namespace)
        self._keys = [keys.web_tries, keys.web_known]
        self.now = now

    def charge(self, user: str, address: str) -> Try:
        """Ask for a try. `user` may be any text. Raises BrokerError."""
        # Of a fixed length: what strangers write here stays small.
        name = digest(user)[:32]
        wait, *charged = run(
            self._client,
            SCRIPTS["login_try"].command(
                self._keys, self._now, address, name, *OF_ADDRESS, *OF_USER, MOST_KEPT, KNOWN_FOR_MS
            ),
        )
        first, second = (each.decode() for each in charged)
        return Try(int(wait), address, name, (first, second))

    def succeeded(self, tried: Try) -> None:
        """Give a try back: its password was right. Raises BrokerError."""
        first, second = tried.charged
        run(
            self._client,
            SCRIPTS["login_done"].command(
                self._keys, self._now, tried.address, tried.user,
                first, OF_ADDRESS.every_ms, second, OF_USER.every_ms, MOST_KEPT, KNOWN_FOR_MS,
            ),
        )  # fmt: skip

    @property
    def _now(self) -> str:
        return "" if self.now is None else str(self.now)
