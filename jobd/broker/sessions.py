"""Sessions of the dashboard in Redis: they hold on every host and over restarts, and can be ended.

Invariant: Redis has a token's hash and never the token; a session ends when nobody uses it, at its age,
when its user logs out, and when the user's password is another one. What cannot be asked is no session:
BrokerError is raised. Used by jobd.web.auth.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from jobd.broker.connection import Client, run
from jobd.broker.keys import SharedKeys
from jobd.broker.scripts import SCRIPTS

# Browsers of one user that are logged in at once.
MOST_OF_A_USER = 20


class Session(NamedTuple):
    """Whose session it is, by which password (a digest of its hash), and for how long it may last, ms."""

    user: str
    password: str
    ends_in_ms: int


class Sessions:
    """The sessions of one namespace. Spans are milliseconds; `now` injects a store time for tests."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        *,
        idle_ms: int,
        longest_ms: int,
        now: int | None = None,
    ) -> None:
        self._client = client
        self._keys = SharedKeys(namespace)
        self._idle, self._longest = idle_ms, longest_ms
        self.now = now

    def open(self, token: str, user: str, password: str) -> None:
        """Begin a session. Raises BrokerError."""
        keys = [self._keys.web_sessions_prefix, self._keys.web_session_prefix]
        arguments = (self._now, digest(token), user, password, self._longest, MOST_OF_A_USER)
        run(self._client, SCRIPTS["session_open"].command(keys, *arguments))

    def look(self, token: str, *, touch: bool = True) -> Session | None:
        """Say whose session a token is. `touch`: it is used by that. Raises BrokerError."""
        keys = [self._keys.web_known, self._keys.web_session_prefix]
        arguments = (self._now, digest(token), self._idle, self._longest, int(touch))
        found = run(self._client, SCRIPTS["session_look"].command(keys, *arguments))
        if not found:
            return None
        user, password, ends = (each.decode("utf-8", "replace") for each in found)
        return Session(user, password, int(ends))

    def close(self, token: str, user: str) -> bool:
        """End one; say whether there was one. Raises BrokerError."""
        return self._close(user, digest(token)) > 0

    def close_all(self, user: str) -> int:
        """End all of a user; give their number. Raises BrokerError."""
        return self._close(user, "")

    def _close(self, user: str, found: str) -> int:
        keys = [self._keys.web_sessions_prefix, self._keys.web_session_prefix]
        return int(run(self._client, SCRIPTS["session_close"].command(keys, user, found))[0])

    @property
    def _now(self) -> str:
        return "" if self.now is None else str(self.now)


def digest(text: str) -> str:
    """Give the hash that stands for a token: it has 256 random bits and cannot be guessed back."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
