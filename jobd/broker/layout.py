"""Which format the keys of a store have: `jobd:format`, a number that the first who comes writes.

Invariant: whoever finds a number that this version does not know, or none, begins nothing there: it claims
nothing, adds nothing, tidies nothing, and says which key says what. Leases that stand are renewed all
the same (keeper/renew.py): what runs would else be begun a second time, by whoever upgraded the store.
Asked at every new connection, and now and then, for a newer jobd may come while we run. Called by all who
act on a store.
"""

from __future__ import annotations

from typing import Any

from redis.exceptions import NoPermissionError, RedisError, ResponseError

from jobd.broker.connection import AsyncClient, Client, ours, place_of, translated
from jobd.broker.keys import FORMAT, SharedKeys
from jobd.core.errors import OtherFormat

EVERY = 10.0
"""For how long nobody asks again, in seconds."""


def refuse_other_format(client: Client, namespace: str) -> None:
    """Ask, and go on where it is ours, or none yet. Raises OtherFormat, BrokerError."""
    with translated(place_of(client)):
        pipe = _question(client.pipeline(transaction=False), namespace)
        said = pipe.execute(raise_on_error=False)
    _judge(said, namespace, place_of(client))


async def refuse_other_format_async(client: AsyncClient, namespace: str) -> None:
    """The same on the event loop."""
    with translated(place_of(client)):
        pipe = _question(client.pipeline(transaction=False), namespace)
        said = await pipe.execute(raise_on_error=False)
    _judge(said, namespace, place_of(client))


class Guard:
    """Asks when it is time, and again and again where it was refused."""

    def __init__(self, client: Client, namespace: str, *, every: float = EVERY) -> None:
        self._client = client
        self._namespace = namespace
        self._every = every
        self._due = 0.0

    def forget(self) -> None:
        """Ask at once: another server may answer now."""
        self._due = 0.0

    def look(self, now: float) -> None:
        """Ask, if it is time. Raises OtherFormat, BrokerError."""
        if now >= self._due:
            refuse_other_format(self._client, self._namespace)
            self._due = now + self._every


def check_format(said: bytes, key: str) -> None:
    """Go on where a key says what we know. Raises OtherFormat, which names it."""
    if said.isdigit() and 1 <= int(said[:20]) <= FORMAT:
        return
    shown = said[:40].decode("utf-8", "backslashreplace")
    if said.isdigit() and int(said[:20]) > FORMAT:
        raise OtherFormat(
            f"format of the store: {shown}, says {key}; expected at most {FORMAT}; "
            "upgrade this jobd, a newer one has written here"
        )
    raise OtherFormat(
        f"format of the store: {shown!r}, says {key}; expected a number up to {FORMAT}; see who has "
        f"written that; if no newer jobd works here, set {key} to {FORMAT}"
    )


def _question(pipe: Any, namespace: str) -> Any:
    keys = SharedKeys(namespace)
    pipe.get(keys.format)
    pipe.get(keys.epoch)
    return pipe


def _judge(said: list[Any], namespace: str, where: str) -> None:
    keys = SharedKeys(namespace)
    for key, found in zip((keys.format, keys.epoch), said, strict=True):
        if isinstance(found, NoPermissionError):
            return  # our user may not ask: nothing is known, and nothing is held against the store
        if isinstance(found, ResponseError) and "WRONGTYPE" in str(found):
            raise OtherFormat(
                f"format of the store: {key} is no text; expected what jobd writes there; see who has "
                "written that, and delete it if no newer jobd works here"
            )
        if isinstance(found, RedisError):
            raise ours(found, where) from found
        if key == keys.format and isinstance(found, bytes):
            check_format(found, key)
