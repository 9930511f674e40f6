"""Being told of jobs' ends, instead of asking for them again and again.

A subscription stands when the server has said so: whoever asks to be told before that may miss the
one notice there is. What was missed all the same, with a connection that broke, is found by looking.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Self

from redis.exceptions import TimeoutError as LateError

from jobd.broker.connection import AsyncClient, Client, place_of, translated
from jobd.broker.keys import QueueKeys

# Without a time of its own a read of redis-py ends in an error when the client's has passed.
_READ = 60.0


def channel_of(keys: QueueKeys, job_id: str) -> str:
    """Name the channel on which the scripts tell of a job's end."""
    return f"{keys.awaited}:{job_id}"


class Notices:
    """A subscription to one job's end. Subscribe, ask to be told, then wait."""

    def __init__(self, client: Client, keys: QueueKeys, job_id: str) -> None:
        self._place = place_of(client)
        self._pubsub = client.pubsub()  # type: ignore[no-untyped-call]
        self._channel = channel_of(keys, job_id)
        self._patience = float(client.connection_pool.connection_kwargs["socket_timeout"])

    def __enter__(self) -> Self:
        try:
            with translated(self._place):
                self._pubsub.subscribe(self._channel)
                self._confirm()
        except BaseException:
            self._pubsub.close()
            raise
        return self

    def _confirm(self) -> None:
        if self._pubsub.get_message(timeout=self._patience) is None:
            raise TimeoutError

    def wait(self, timeout: float) -> None:
        """Return at a notice, or after `timeout` seconds. One that is not whole by then is none."""
        with translated(self._place), suppress(LateError):
            self._pubsub.get_message(timeout=timeout)

    def __exit__(self, *exc: object) -> None:
        self._pubsub.close()


class AsyncNotices:
    """One subscription of an event loop, to as many jobs' ends as it likes, over one connection.

    `changed` is set when there is something to take.
    """

    def __init__(self, client: AsyncClient, changed: asyncio.Event) -> None:
        self._place = place_of(client)
        self._pubsub = client.pubsub()
        self._changed = changed
        self._reader: asyncio.Task[None] | None = None
        self._told: set[str] = set()
        self._is_open = True

    async def subscribe(self, channels: Iterable[str]) -> None:
        """Ask for more channels. That they stand is a notice, too: look then, and nothing is missed."""
        with translated(self._place):
            await self._pubsub.subscribe(*channels)
        if self._reader is None:
            self._reader = asyncio.create_task(self._read())

    async def unsubscribe(self, channels: Iterable[str]) -> None:
        """Let go of channels."""
        with translated(self._place):
            await self._pubsub.unsubscribe(*channels)

    def take(self) -> set[str]:
        """Give the channels that were told of, or stand, since the last call. Raises BrokerError."""
        if self._reader is not None and self._reader.done():
            with translated(self._place):
                self._reader.result()
        told, self._told = self._told, set()
        return told

    async def close(self) -> None:
        """Close the connection."""
        self._is_open = False
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])
        await self._pubsub.aclose()  # type: ignore[no-untyped-call]

    async def _read(self) -> None:
        try:
            while self._is_open:
                message = await self._pubsub.get_message(timeout=_READ)
                if message is not None and message["type"] in ("message", "subscribe"):
                    self._told.add(message["channel"].decode())
                    self._changed.set()
        finally:
            self._changed.set()
