"""Being told of a job's end, instead of asking for it again and again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Self

from jobd.broker.connection import AsyncClient, Client, place_of, translated
from jobd.broker.keys import QueueKeys


class Notices:
    """A subscription to one job's end. Subscribe, ask to be told, look, then wait."""

    def __init__(self, client: Client, keys: QueueKeys, job_id: str) -> None:
        self._place = place_of(client)
        self._pubsub = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        self._channel = f"{keys.awaited}:{job_id}"

    def __enter__(self) -> Self:
        with translated(self._place):
            self._pubsub.subscribe(self._channel)
        return self

    def wait(self, timeout: float) -> None:
        """Return at a notice, or after `timeout` seconds."""
        with translated(self._place):
            self._pubsub.get_message(timeout=timeout)

    def __exit__(self, *exc: object) -> None:
        self._pubsub.close()


@asynccontextmanager
async def async_notices(
    client: AsyncClient, keys: QueueKeys, job_id: str
) -> AsyncIterator[Callable[[float], Awaitable[None]]]:
    """The same on an event loop: gives a function that waits for a notice, or a timeout."""
    pubsub = client.pubsub(ignore_subscribe_messages=True)
    with translated(place_of(client)):
        await pubsub.subscribe(f"{keys.awaited}:{job_id}")

    async def wait(timeout: float) -> None:
        with translated(place_of(client)):
            await pubsub.get_message(timeout=timeout)

    try:
        yield wait
    finally:
        await pubsub.aclose()  # type: ignore[no-untyped-call]
