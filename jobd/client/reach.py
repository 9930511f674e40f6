"""What one application reaches in Redis: a client per process and per event loop, made when needed.

And by them each queue's transitions, walks and reads. In tests another may stand in its place
(jobd.client.instead). Called through its `Producer`.
"""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

from jobd.broker.commands import End, QueueCommands
from jobd.broker.connection import AsyncClient, Client, connect, connect_async, run_async
from jobd.broker.finding import Finder
from jobd.broker.schedules import ScheduleStore
from jobd.broker.store import Store
from jobd.broker.views import Views
from jobd.broker.why import WhyFacts
from jobd.client.instead import Instead
from jobd.client.waiting import Waiting, wait_here


class Reach:
    """Reaches one namespace of one server. Safe to use from threads, event loops and after a fork."""

    def __init__(self, url: str, namespace: str, *, timeout: float = 2.0) -> None:
        self.url = url
        self.namespace = namespace
        self._timeout = timeout
        self._client: Client | None = None
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncClient] = WeakKeyDictionary()
        self._waiting: WeakKeyDictionary[asyncio.AbstractEventLoop, Waiting] = WeakKeyDictionary()
        self._commands: dict[str, QueueCommands] = {}
        self._instead: Instead | None = None

    def divert(self, instead: Instead | None) -> Instead | None:
        """Let another take this one's place from now on, in all threads; give who was there before.

        None ends that. For tests: see jobd.testing.
        """
        before, self._instead = self._instead, instead
        return before

    def rebind(self, url: str, namespace: str) -> None:
        """Speak to another server from now on: in a worker the daemon's Redis is the app's.

        Its client is made at once, since workers that are forked later then share it.
        """
        self.url, self.namespace = url, namespace
        self._client = connect(url, timeout=self._timeout)
        self._loops.clear()
        self._waiting.clear()
        self._commands.clear()

    @property
    def client(self) -> Client:
        """The synchronous client. Raises ConfigError for a URL that cannot be read."""
        if self._instead is not None:
            return self._instead.client()
        if self._client is None:
            self._client = connect(self.url, timeout=self._timeout)
        return self._client

    @property
    def async_client(self) -> AsyncClient:
        """The running event loop's client."""
        loop = asyncio.get_running_loop()
        if (client := self._loops.get(loop)) is None:
            client = self._loops[loop] = connect_async(self.url, timeout=self._timeout)
        return client

    def store(self, queue: str) -> Store:
        """The transitions of one queue."""
        if self._instead is not None:
            return self._instead.store(queue)
        return Store(self.client, self.namespace, queue)

    def schedules(self, queue: str) -> ScheduleStore:
        """The schedules of one queue."""
        if self._instead is not None:
            return self._instead.schedules(queue)
        return ScheduleStore(self.client, self.namespace, queue)

    def finder(self, queue: str) -> Finder:
        """The walks through one queue."""
        if self._instead is not None:
            return self._instead.finder(queue)
        return Finder(self.client, self.namespace, queue)

    def views(self) -> Views:
        """The reads."""
        if self._instead is not None:
            return self._instead.views()
        return Views(self.client, self.namespace)

    def why_facts(self, queue: str) -> WhyFacts:
        """What reads why a job of one queue has not run."""
        if self._instead is not None:
            return self._instead.why_facts(queue)
        return WhyFacts(self.client, self.namespace, queue)

    def end_of(self, queue: str, job_id: str, span: float) -> End:
        """Wait for a job's end, `span` seconds at most; its state is WAITS when that was not enough.

        Raises BrokerError.
        """
        if self._instead is not None:
            return self._instead.end_of(queue, job_id)
        return wait_here(self.client, self.store(queue), job_id, span)

    async def end_of_async(self, queue: str, job_id: str, span: float) -> End:
        """The same on the running event loop, whose waiters share two connections."""
        if self._instead is not None:
            return self._instead.end_of(queue, job_id)
        loop = asyncio.get_running_loop()
        if (waiting := self._waiting.get(loop)) is None:
            waiting = self._waiting[loop] = Waiting(self.async_client, self._of)
        return await waiting.end_of(queue, job_id, span)

    async def pause_async(self, queue: str, task: str, why: str) -> str:
        """Pause without blocking the event loop; the word of `Store.pause`."""
        if self._instead is not None:
            return self._instead.store(queue).pause(task, why)
        reply = await run_async(self.async_client, self._of(queue).pause(task, why))
        return str(reply[0].decode())

    async def resume_async(self, queue: str, task: str) -> str:
        """Resume without blocking the event loop; the word of `Store.resume`."""
        if self._instead is not None:
            return self._instead.store(queue).resume(task)
        word = b"more"
        while word == b"more":
            [word] = await run_async(self.async_client, self._of(queue).resume(task))
        return word.decode()

    def _of(self, queue: str) -> QueueCommands:
        if (commands := self._commands.get(queue)) is None:
            commands = self._commands[queue] = QueueCommands(self.namespace, queue)
        return commands
