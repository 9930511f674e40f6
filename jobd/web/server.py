"""Serving: uvicorn on the sockets that the supervisor holds, for as long as the supervisor listens."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from contextlib import suppress

import uvicorn
from starlette.applications import Starlette

from jobd.seams.service import BEAT_EVERY, Attendance

# For answers that are under way when the process ends; a load balancer asks again.
_GRACE = 2


class Server:
    """One web process, until its supervisor ends it or is gone."""

    def __init__(self, app: Starlette, attendance: Attendance, sockets: Iterable[int]) -> None:
        self._attendance = attendance
        self._sockets = [socket.socket(fileno=fd) for fd in sockets]
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
            timeout_graceful_shutdown=_GRACE,
        )
        self._server = uvicorn.Server(config)

    def run(self) -> None:
        """Serve."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        asyncio.get_running_loop().add_reader(self._attendance.fileno(), self._hear)
        beating = asyncio.create_task(self._beat())
        try:
            await self._server.serve(sockets=self._sockets)
        finally:
            beating.cancel()
            with suppress(asyncio.CancelledError):
                await beating

    def _hear(self) -> None:
        self._attendance.hear()
        if self._attendance.closed:
            asyncio.get_running_loop().remove_reader(self._attendance.fileno())
            self._server.should_exit = True

    async def _beat(self) -> None:
        while not self._server.started:
            await asyncio.sleep(0.01)
        while True:
            self._attendance.beat()
            await asyncio.sleep(BEAT_EVERY)
