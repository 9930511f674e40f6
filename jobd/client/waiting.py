"""Waiting for the ends of jobs: in a thread, or on an event loop, where all that wait share it.

A web process may wait for a hundred jobs at once, and each would need a connection of its own. So
on an event loop they share two: one for notices, one for looking. A look asks for many jobs in one call. It is made for
whoever comes, for what was told of, now and then for all (a notice may get lost with a connection),
and for whoever has waited long enough. When nobody waits, nothing is open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any

from jobd.broker.bites import SMALL_BITE
from jobd.broker.commands import (
    WAITS,
    End,
    QueueCommands,
)
from jobd.broker.connection import AsyncClient, Client, run_async
from jobd.broker.notices import AsyncNotices, Notices, channel_of
from jobd.broker.replies import read_ends
from jobd.broker.store import Store
from jobd.seams.clock import mono

RECHECK = 5.0

Key = tuple[str, str]  # queue, job id


@dataclass(slots=True, eq=False)
class _Waiter:
    future: asyncio.Future[End]
    until: float


class _Service:
    """One time of having waiters: from the first that comes to the last that goes."""

    def __init__(self, serve: Callable[[_Service], Coroutine[Any, Any, None]]) -> None:
        self.changed = asyncio.Event()
        self.is_open = True
        self._task = asyncio.create_task(serve(self))

    async def end(self) -> None:
        """End it here and now: an event loop that is closed soon must find nothing pending."""
        # Both: a cancellation may get lost (asyncio.wait_for, before Python 3.12), a word does not.
        self.is_open = False
        self.changed.set()
        self._task.cancel()
        await asyncio.wait([self._task])


def wait_here(client: Client, store: Store, job_id: str, span: float) -> End:
    """Wait for a job's end in this thread, `span` seconds at most; then its state is WAITS."""
    until = mono() + span
    end = store.await_end(job_id, _ms(span))
    if end.state != WAITS:
        return end
    with Notices(client, store.commands.keys, job_id) as notices:
        while True:
            # Also now that the subscription stands: what ended before was told to nobody.
            left = until - mono()
            end = store.await_end(job_id, _ms(left))
            if end.state != WAITS or left <= 0:
                return end
            notices.wait(min(left, RECHECK))


def _ms(left: float) -> int:
    """Write how long to be told of an end: a little longer than somebody waits."""
    return int(max(left, 0.0) * 1000) + 1000


class Waiting:
    """The waiters of one event loop and one producer."""

    def __init__(self, client: AsyncClient, commands: Callable[[str], QueueCommands]) -> None:
        self._client = client
        self._commands = commands
        self._waiters: dict[Key, list[_Waiter]] = {}
        self._service: _Service | None = None

    async def end_of(self, queue: str, job_id: str, span: float) -> End:
        """Wait for a job's end, `span` seconds at most; its state is WAITS when that was not enough.

        Raises BrokerError.
        """
        waiter = _Waiter(asyncio.get_running_loop().create_future(), mono() + span)
        key = (queue, job_id)
        self._waiters.setdefault(key, []).append(waiter)
        if self._service is None:
            self._service = _Service(self._serve)
        self._service.changed.set()
        try:
            return await waiter.future
        finally:
            self._drop(key, waiter)
            if not self._waiters and (service := self._service) is not None:
                self._service = None
                await service.end()

    async def _serve(self, service: _Service) -> None:
        notices = AsyncNotices(self._client, service.changed)
        try:
            await self._attend(service, notices)
        except Exception as error:  # noqa: BLE001  whatever it is, nobody must wait for ever
            self._service = None
            for waiter in [w for line in self._waiters.values() for w in line]:
                if not waiter.future.done():
                    waiter.future.set_exception(error)
            self._waiters.clear()
        finally:
            await notices.close()

    async def _attend(self, service: _Service, notices: AsyncNotices) -> None:
        channels: dict[Key, str] = {}
        keys: dict[str, Key] = {}
        look_at = mono() + RECHECK
        while service.is_open:
            service.changed.clear()
            told = {keys[name] for name in notices.take() if name in keys}
            if mono() >= look_at:
                look_at = mono() + RECHECK
                told |= self._waiters.keys()
            await self._look(told | self._late() | (self._waiters.keys() - channels.keys()))
            # What is still waited for: all of it, and nothing else.
            if new := self._waiters.keys() - channels.keys():
                more = {key: channel_of(self._commands(key[0]).keys, key[1]) for key in new}
                channels |= more
                keys |= {name: key for key, name in more.items()}
                await notices.subscribe(more.values())
            if old := [channels.pop(key) for key in channels.keys() - self._waiters.keys()]:
                for name in old:
                    del keys[name]
                await notices.unsubscribe(old)
            await self._pause(service.changed, look_at)

    async def _pause(self, changed: asyncio.Event, until: float) -> None:
        """Wait for a notice or a newcomer, or until it is time to look all the same."""
        times = [waiter.until for line in self._waiters.values() for waiter in line]
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, min([until, *times]) - mono())):
                await changed.wait()

    def _late(self) -> set[Key]:
        now = mono()
        return {key for key, line in self._waiters.items() if any(w.until <= now for w in line)}

    async def _look(self, keys: Iterable[Key]) -> None:
        for queue, group in groupby(sorted(keys), key=lambda key: key[0]):
            commands = self._commands(queue)
            rest = (job_id for _, job_id in group)
            while ids := list(islice(rest, SMALL_BITE)):
                begun = mono()
                lines = [self._waiters.get((queue, job_id), []) for job_id in ids]
                until = max((w.until for line in lines for w in line), default=begun)
                reply = await run_async(self._client, commands.await_ends(ids, _ms(until - begun)))
                for job_id, end in zip(ids, read_ends(reply), strict=True):
                    self._tell((queue, job_id), end, begun)

    def _tell(self, key: Key, end: End, now: float) -> None:
        for waiter in list(self._waiters.get(key, ())):
            if end.state != WAITS or waiter.until <= now:
                self._drop(key, waiter)
                if not waiter.future.done():
                    waiter.future.set_result(end)

    def _drop(self, key: Key, waiter: _Waiter) -> None:
        line = self._waiters.get(key, [])
        if waiter in line:
            line.remove(waiter)
            if not line:
                del self._waiters[key]
