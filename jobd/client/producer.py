"""The sending side of an application: it adds jobs, from threads and event loops."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from jobd.broker.calls import Calls
from jobd.broker.commands import Command, QueueCommands
from jobd.broker.connection import AsyncClient, Reply, run_async
from jobd.broker.layout import EVERY, refuse_other_format, refuse_other_format_async
from jobd.broker.new_job import NewJob
from jobd.broker.refusals import QueueUnknown
from jobd.broker.store import register_queue_async, register_queues
from jobd.client.failed_add import about, answered
from jobd.client.reach import Reach
from jobd.core.errors import BrokerError
from jobd.core.ids import uuid7
from jobd.seams.clock import mono, wall_ms


class Producer(Reach):
    """Adds jobs for one application. Safe to use from threads, event loops and after a fork."""

    def __init__(self, url: str, namespace: str, *, timeout: float = 2.0) -> None:
        super().__init__(url, namespace, timeout=timeout)
        self._calls: Calls | None = None
        # Until when each queue counts as known, and the store as one that we know.
        self._known: dict[str, float] = {}

    def rebind(self, url: str, namespace: str) -> None:
        """Speak to another server from now on: in a worker the daemon's Redis is the app's."""
        super().rebind(url, namespace)
        self._calls = None
        self._known.clear()

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
