"""Serving: uvicorn on the sockets that the supervisor holds, for as long as the supervisor listens.

Invariant: SIGTERM, or the end of the supervisor, ends the process within GRACE and a moment, whatever
its threads and its clients do; connections that were not taken yet wait for whoever serves next.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Generator, Iterable

import uvicorn
from starlette.types import ASGIApp

from jobd.core.web_events import WebFailed
from jobd.seams.host import Signals
from jobd.seams.log import Emit
from jobd.seams.service import BEAT_EVERY, Attendance
from jobd.web.app import Told
from jobd.web.connections import IDLE_FOR, LONGEST_HEAD, Connection
from jobd.web.health import Knowledge

# For answers that are under way when the process ends; a load balancer asks again.
_GRACE = 1
# For the first looks, before anybody is answered.
_FIRST_WITHIN = 1.0
_BACKLOG = 512
# Of the loop, until a connection that was taken is one of uvicorn's.
_TURNS = 5


class Server:
    """One web process, until its supervisor ends it or is gone."""

    def __init__(
        self,
        app: ASGIApp,
        knowledge: Knowledge,
        attendance: Attendance,
        sockets: Iterable[int],
        *,
        signals: Signals,
        emit: Emit,
        ends: Callable[[], None] = lambda: None,
    ) -> None:
        """`signals` are those that end it; `ends` is called then, for answers that would go on for ever."""
        self._knowledge = knowledge
        self._attendance = attendance
        self._signals = signals
        self._emit = emit
        self._sockets = [socket.socket(fileno=fd) for fd in sockets]
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=_BACKLOG,
            timeout_keep_alive=int(IDLE_FOR),
            timeout_graceful_shutdown=_GRACE,
            h11_max_incomplete_event_size=LONGEST_HEAD,
        )
        self._uvicorn = _Uvicorn(config, ends)

    def run(self) -> None:
        """Serve."""
        _tell_of_errors(self._emit)
        self._knowledge.start()
        asyncio.run(self._run())
        self._knowledge.stop()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._attendance.fileno(), self._hear)
        loop.add_reader(self._signals.fileno(), self._signalled)
        await self._knowledge.first(within=_FIRST_WITHIN)
        beating = asyncio.create_task(self._beat())
        try:
            await self._uvicorn.serve(sockets=self._sockets)
        finally:
            beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beating

    def _hear(self) -> None:
        self._attendance.hear()
        if self._attendance.closed:
            asyncio.get_running_loop().remove_reader(self._attendance.fileno())
            self._uvicorn.end()

    def _signalled(self) -> None:
        if signal.SIGTERM in self._signals.take():
            self._uvicorn.end()

    async def _beat(self) -> None:
        await self._uvicorn.serves.wait()
        while True:
            self._attendance.beat()
            await asyncio.sleep(BEAT_EVERY)


class _Uvicorn(uvicorn.Server):
    """uvicorn, without its own signal handlers and its ten looks a second at whether to end."""

    def __init__(self, config: uvicorn.Config, ends: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell_of_end = ends
        self.serves = asyncio.Event()
        self._ends = asyncio.Event()

    def end(self) -> None:
        """Serve no more."""
        self._tell_of_end()
        self.should_exit = True
        self._ends.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to who made this."""
        yield

    async def main_loop(self) -> None:
        """Keep the Date of answers right, until the end."""
        self.serves.set()
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ends.wait(), 1.0)
        await self._take_no_more()

    async def _take_no_more(self) -> None:
        """Leave further connections to who serves next; those just taken are to be served yet.

        asyncio resets one that was taken in the moment in which its server is closed.
        """
        loop = asyncio.get_running_loop()
        for server in self.servers:
            for sock in server.sockets:
                loop.remove_reader(sock.fileno())
        for _ in range(_TURNS):
            await asyncio.sleep(0)


class Errors(logging.Handler):
    """What uvicorn and asyncio log as errors, as events."""

    def __init__(self, tell: Callable[[str, str], None]) -> None:
        super().__init__(logging.ERROR)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of one record, without its traceback."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, Told):
            return
        text = record.getMessage().strip()
        self._tell(record.name, f"{text}: {error!r}" if error is not None else text)


def _tell_of_errors(emit: Emit) -> None:
    root = logging.getLogger()
    root.addHandler(Errors(lambda path, why: emit(WebFailed(path=path, why=why))))
    root.setLevel(logging.ERROR)
