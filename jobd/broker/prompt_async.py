"""The same as `prompt`, for event loops: there redis-py waits for an answer as a whole, as it is.

What is left is that to introduce ourselves takes several answers. Made by pools and primary_async.
"""

from __future__ import annotations

import asyncio

from redis.asyncio.connection import AbstractConnection, Connection, UnixDomainSocketConnection
from redis.exceptions import TimeoutError as RedisTimeoutError

from jobd.broker.prompt import LEAST
from jobd.seams.clock import monotonic


class Prompt(AbstractConnection):
    """What connects and introduces us in the time for connecting, all together."""

    _until = 0.0

    async def _connect(self) -> None:
        self._until = monotonic() + (self.socket_connect_timeout or 0.0)
        await super()._connect()  # type: ignore[safe-super,no-untyped-call]

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        """Introduce ourselves in what is left of the time."""
        try:
            async with asyncio.timeout(max(LEAST, self._until - monotonic())):
                await super().on_connect_check_health(check_health=check_health)
        except TimeoutError:  # ours, and none of redis-py's
            await self.disconnect(nowait=True)
            raise RedisTimeoutError(f"Timeout reading from {self._host_error()}") from None


class TcpConnection(Prompt, Connection):
    """To a host and a port."""


class UnixConnection(Prompt, UnixDomainSocketConnection):
    """To a socket of this host."""

    async def on_connect(self) -> None:
        """Nothing: redis-py calls this too early, and introduces itself once more after it."""
