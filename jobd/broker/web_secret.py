"""A secret of the namespace, made once and kept in Redis: tokens against forgery are made with it.

Invariant: all processes have the same one, also after the store was emptied: nothing is remembered here, and
what cannot be read is no secret, BrokerError is raised. Used by jobd.web.auth, from any thread.
"""

from __future__ import annotations

import secrets

from jobd.broker.connection import Client, place_of, run, translated
from jobd.broker.keys import SharedKeys
from jobd.broker.scripts import SCRIPTS
from jobd.core.errors import NotPermitted

_BYTES = 32


class WebSecret:
    """The secret of one namespace."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._key = SharedKeys(namespace).web_secret

    def read(self) -> str | None:
        """Give it, made now where there is none. None: a user of Redis who may not write finds none.

        Raises BrokerError.
        """
        with translated(place_of(self._client)):
            there = self._client.get(self._key)
        if isinstance(there, bytes) and there:
            return there.hex()
        candidate = secrets.token_bytes(_BYTES)
        try:
            [made] = run(self._client, SCRIPTS["web_secret"].command([self._key], candidate))
        except NotPermitted:
            return None
        return bytes(made).hex()
