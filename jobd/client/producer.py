"""The sending side of an application: one client per process and per event loop, made when needed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

from jobd.broker.calls import Calls
from jobd.broker.commands import Command, End, QueueCommands
from jobd.broker.connection import (
    AsyncClient,
    Client,
    Reply,
    connect,
    connect_async,
    run_async,
)
from jobd.broker.finding import Finder
from jobd.broker.layout import EVERY, refuse_other_format, refuse_other_format_async
from jobd.broker.new_job import NewJob
from jobd.broker.refusals import QueueUnknown
from jobd.broker.schedules import ScheduleStore
from jobd.broker.store import Store, register_queue_async, register_queues
from jobd.broker.views import Views
from jobd.broker.why import WhyFacts
from jobd.client.failed_add import about, answered
from jobd.client.instead import Instead
from jobd.client.waiting import Waiting, wait_here
from jobd.core.errors import BrokerError
from jobd.core.ids import uuid7
from jobd.seams.clock import mono, wall_ms


class Producer:
    """Adds jobs for one application. Safe to use from threads, event loops and after a fork."""

    def __init__(self, url: str, namespace: str, *, timeout: float = 2.0) -> None:
        self.url = url
        self.namespace = namespace
        self._timeout = timeout
        self._client: Client | None = None
        self._calls: Calls | None = None
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncClient] = WeakKeyDictionary()
        self._waiting: WeakKeyDictionary[asyncio.AbstractEventLoop, Waiting] = WeakKeyDictionary()
        self._commands: dict[str, QueueCommands] = {}
        # Until when each queue counts as known, and the store as one that we know.
        self._known: dict[str, float] = {}
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
        self._calls = None
        self._loops.clear()
        self._waiting.clear()
        self._commands.clear()
        self._known.clear()

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

    def new_id(self) -> str:
        """Make a job id.

        From the system's randomness, because the application may seed `random`: two processes with
        the same seed would make the same ids, and the second one's job would be a duplicate.
        """
        return uuid7(wall_ms(), int.from_bytes(os.urandom(10)))

    def add(self, queue: str, jobs: Sequence[NewJob], *, fresh: bool) -> list[bytes]:
        """Add one job or a few in one script call; a word for each, as the scripts give it."""
        if self._instead is not None:
            return self._instead.add(queue, jobs, fresh=fresh)
        command = self._of(queue).add(jobs, fresh=fresh)
        words: list[bytes]
        try:
            if self._is_known(queue):
                try:
                    words = (self._calls or self._make_calls()).run(command)
                    return words
                except QueueUnknown:
                    self._forget(queue)
            self._register(queue, [command])
            words = (self._calls or self._make_calls()).run(command)
        except BrokerError as error:
            raise about(error, jobs) from error
        return words

    def begin_add(
        self, queue: str, jobs: Sequence[NewJob], words: list[bytes], *, fresh: bool
    ) -> Callable[[], None]:
        """Send jobs of one round trip; what is given back waits for the answers, a word for each.

        They are put into `words`; when either raises, those that had come before are there.
        """
        if self._instead is not None:
            words += self._instead.add(queue, jobs, fresh=fresh)
            return lambda: None
        commands = self._of(queue).add_bites(jobs, fresh=fresh)
        replies: list[Reply] = []
        try:
            wait = self._begin(queue, commands, replies)
        except BrokerError as error:
            raise about(error, jobs) from error

        def land() -> None:
            try:
                try:
                    wait()
                except QueueUnknown:
                    self._forget(queue)
                    replies.clear()
                    self._begin(queue, commands, replies)()
            except BrokerError as error:
                words.extend(answered(replies))
                raise about(error, jobs[len(words) :]) from error
            words.extend(answered(replies))

        return land

    async def add_async(self, queue: str, jobs: Sequence[NewJob], *, fresh: bool) -> list[bytes]:
        """Add one job or a few without blocking the event loop."""
        words: list[bytes] = []
        await self.add_many_async(queue, jobs, words, fresh=fresh)
        return words

    async def add_many_async(
        self, queue: str, jobs: Sequence[NewJob], words: list[bytes], *, fresh: bool
    ) -> None:
        """Add jobs, call by call, without blocking the event loop; `words` is as for `begin_add`."""
        if self._instead is not None:
            words += await self._instead.add_async(queue, jobs, fresh=fresh)
            return
        client = self.async_client
        try:
            for command in self._of(queue).add_bites(jobs, fresh=fresh):
                words += await self._add_one_async(client, queue, command)
        except BrokerError as error:
            raise about(error, jobs[len(words) :]) from error

    async def _add_one_async(self, client: AsyncClient, queue: str, command: Command) -> Reply:
        if self._is_known(queue):
            try:
                return await run_async(client, command)
            except QueueUnknown:
                self._forget(queue)
        await refuse_other_format_async(client, self.namespace)
        await register_queue_async(client, self.namespace, queue)
        self._known[queue] = mono() + EVERY
        return await run_async(client, QueueCommands.as_known(command))

    def _begin(
        self, queue: str, commands: list[Command], replies: list[Reply]
    ) -> Callable[[], list[Reply]]:
        if not self._is_known(queue):
            self._register(queue, commands)
        return (self._calls or self._make_calls()).begin(commands, replies)

    def _make_calls(self) -> Calls:
        self._calls = Calls(self.client)
        return self._calls

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

    def _is_known(self, queue: str) -> bool:
        """Whether nothing is to be asked before an add: a newer jobd may take the store over meanwhile."""
        return self._known.get(queue, 0.0) > mono()

    def _forget(self, queue: str) -> None:
        self._known.pop(queue, None)

    def _register(self, queue: str, commands: list[Command]) -> None:
        """Make a queue known, in a store that we know, and have these adds carried out in any case."""
        refuse_other_format(self.client, self.namespace)
        register_queues(self.client, self.namespace, [queue])
        self._known[queue] = mono() + EVERY
        for command in commands:
            QueueCommands.as_known(command)
