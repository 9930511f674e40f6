"""The same as `primary`, for clients of an event loop: what differs is who waits."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from redis.exceptions import RedisError

from jobd.broker.primary import ASK_AGAIN, PATIENCE_AGAIN
from jobd.broker.prompt import LEAST
from jobd.broker.prompt_async import TcpConnection
from jobd.broker.sentinel import (
    Asking,
    Place,
    Sentinels,
    deposed,
    require_primary,
    unreached,
)
from jobd.broker.tls import AsyncTlsConnection
from jobd.core.errors import BrokerError
from jobd.seams.clock import monotonic


async def primary(sentinels: Sentinels, patience: float) -> Place:
    """Ask where the primary is, `patience` seconds at most. Raises BrokerError."""
    asking = Asking(sentinels, patience)
    for place, bound in asking.places():
        kind = AsyncTlsConnection if sentinels.is_encrypted else TcpConnection
        connection = kind(
            host=place[0],
            port=place[1],
            socket_timeout=bound,
            socket_connect_timeout=bound,
            **sentinels.settings,
        )
        try:
            async with asyncio.timeout(bound):
                await connection.connect()  # type: ignore[no-untyped-call]
                await connection.send_command(*sentinels.question)
                asking.heard(place, await connection.read_response())
        except (RedisError, OSError, BrokerError) as error:
            asking.failed(place, error)
        finally:
            with suppress(RedisError, OSError):
                await connection.disconnect(nowait=True)
    return asking.answer()


class Watch:
    """What the sentinels say now: asked once a second for all connections of a client."""

    def __init__(self, sentinels: Sentinels) -> None:
        self._sentinels = sentinels
        self._found: Place | None = None
        self._is_asking = False
        self._due = 0.0

    async def primary(self) -> Place | None:
        """Say where the primary is; None where nobody knows, or another task just asks."""
        if self._is_asking:
            return None
        if monotonic() >= self._due:
            self._is_asking = True
            try:
                self._found = await primary(self._sentinels, PATIENCE_AGAIN)
            except BrokerError:  # nobody knows better: what stands is used on
                self._found = None
            finally:
                self._due = monotonic() + ASK_AGAIN
                self._is_asking = False
        return self._found


class PrimaryConnection(TcpConnection):
    """A connection to whoever is the primary when it is made; as long in all as connecting may take."""

    def __init__(self, *, sentinels: Sentinels, watch: Watch, **settings: Any) -> None:
        super().__init__(**settings)
        self._sentinels = sentinels
        self._watch = watch
        self._until = 0.0
        self._ask_at = 0.0

    async def _connect(self) -> None:
        whole: float = self.socket_connect_timeout or 0.0
        self._until = monotonic() + whole
        self._ask_at = monotonic() + ASK_AGAIN
        self.host, self.port = await primary(self._sentinels, whole)
        self.socket_connect_timeout = max(LEAST, self._until - monotonic())
        try:
            await super()._connect()
        except OSError as error:
            raise unreached(self._sentinels, (self.host, self.port), error) from error
        finally:
            self.socket_connect_timeout = whole

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        """Introduce ourselves, then ask who it is."""
        whole = self.socket_timeout
        self.socket_timeout = max(LEAST, self._until - monotonic())
        try:
            await super().on_connect_check_health(check_health=check_health)
            self.socket_timeout = max(LEAST, self._until - monotonic())
            await self.send_command("ROLE", check_health=False)
            require_primary(self._sentinels, (self.host, self.port), await self.read_response())
        except BaseException:
            await self.disconnect(nowait=True)
            raise
        finally:
            self.socket_timeout = whole

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Send, unless the sentinels name another primary by now. Raises BrokerUnavailable for that."""
        if self.is_connected and monotonic() >= self._ask_at:
            self._ask_at = monotonic() + ASK_AGAIN
            await self._ask_again()
        await super().send_packed_command(command, check_health)

    async def _ask_again(self) -> None:
        found = await self._watch.primary()
        if found is not None and found != (self.host, self.port):
            await self.disconnect(nowait=True)
            raise deposed(self._sentinels, (self.host, self.port), found)


class EncryptedPrimaryConnection(PrimaryConnection, AsyncTlsConnection):
    """The same over TLS."""
