"""On which host a worker is, or was: told from its name by what hosts said of themselves.

A word is kept for an hour after its host fell silent, long enough for whoever takes back what the host
held. That may never wait for a word: what cannot be read names nobody. Used by jobd.keeper.loop.
"""

from __future__ import annotations

from jobd.broker.connection import Client
from jobd.broker.hosts import hosts
from jobd.core.errors import BrokerError


class Whereabouts:
    """The hosts at one moment; they are read when somebody is first asked for."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._known: dict[str, str] | None = None

    def host_of(self, incarnation: str) -> str:
        """Give the name of a worker's host; '' where nobody has said it."""
        if self._known is None:
            self._known = self._read()
        return self._known.get(incarnation.partition(".")[0], "")

    def _read(self) -> dict[str, str]:
        try:
            found = hosts(self._client, self._namespace)
        except BrokerError:
            return {}
        return {each.daemon.nonce: each.daemon.host for each in found if each.daemon}
