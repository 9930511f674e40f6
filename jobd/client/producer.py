"""The sending side of an application: one client per process and per event loop, made when needed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from weakref import WeakKeyDictionary

from jobd.broker.calls import Calls
from jobd.broker.commands import NO_TERMS, Command, NewJob, QueueCommands, Terms
from jobd.broker.connection import (
    AsyncClient,
    Client,
    connect,
    connect_async,
    place_of,
    run_async,
    translated,
)
from jobd.broker.finding import Finder
from jobd.broker.keys import SharedKeys
from jobd.broker.store import Store, register_queues
from jobd.broker.views import Views
from jobd.core.errors import BrokerError, BrokerUnavailable
from jobd.core.ids import uuid7
from jobd.seams.clock import wall_ms


class Producer:
    """Adds jobs for one application. Safe to use from threads, event loops and after a fork."""

    def __init__(self, url: str, namespace: str, *, timeout: float = 2.0) -> None:
        self.url = url
        self.namespace = namespace
        self._timeout = timeout
        self._client: Client | None = None
        self._calls: Calls | None = None
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncClient] = WeakKeyDictionary()
        self._commands: dict[str, QueueCommands] = {}
        self._registered: set[str] = set()

    def rebind(self, url: str, namespace: str) -> None:
        """Speak to another server from now on: in a worker the daemon's Redis is the app's.

        Its client is made at once, since workers that are forked later then share it.
        """
        self.url, self.namespace = url, namespace
        self._client = connect(url, timeout=self._timeout)
        self._calls = None
        self._loops.clear()
        self._commands.clear()
        self._registered.clear()

    @property
    def client(self) -> Client:
        """The synchronous client. Raises ConfigError for a URL that cannot be read."""
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
        return Store(self.client, self.namespace, queue)

    def finder(self, queue: str) -> Finder:
        """The walks through one queue."""
        return Finder(self.client, self.namespace, queue)

    def views(self) -> Views:
        """The reads."""
        return Views(self.client, self.namespace)

    def new_id(self) -> str:
        """Make a job id.

        From the system's randomness, because the application may seed `random`: two processes with
        the same seed would make the same ids, and the second one's job would be a duplicate.
        """
        return uuid7(wall_ms(), int.from_bytes(os.urandom(10)))

    def add(
        self, queue: str, jobs: Sequence[NewJob], terms: Sequence[Terms | None], *, fresh: bool
    ) -> list[bytes]:
        """Add up to 1,000 jobs in one round trip; a word for each, as the scripts give it.

        `terms` has one for each job, None for one that is just added. `fresh`: their ids were made a
        moment ago and are sent for the first time.
        """
        command = self._adding(queue, jobs, terms, fresh=fresh)
        try:
            self._register(queue)
            if (calls := self._calls) is None:
                calls = self._calls = Calls(self.client)
            words: list[bytes] = calls.run(command)
        except BrokerError as error:
            raise _about(error, jobs) from error
        return words

    async def add_async(
        self, queue: str, jobs: Sequence[NewJob], terms: Sequence[Terms | None], *, fresh: bool
    ) -> list[bytes]:
        """Add jobs without blocking the event loop."""
        command = self._adding(queue, jobs, terms, fresh=fresh)
        client = self.async_client
        try:
            if queue not in self._registered:
                with translated(place_of(client)):
                    await client.sadd(SharedKeys(self.namespace).queues, queue)
                self._registered.add(queue)
            words: list[bytes] = await run_async(client, command)
        except BrokerError as error:
            raise _about(error, jobs) from error
        return words

    def _adding(
        self, queue: str, jobs: Sequence[NewJob], terms: Sequence[Terms | None], *, fresh: bool
    ) -> Command:
        if any(terms):
            return self._of(queue).add_once(jobs, [each or NO_TERMS for each in terms])
        return self._of(queue).add(jobs, fresh=fresh)

    def _of(self, queue: str) -> QueueCommands:
        if (commands := self._commands.get(queue)) is None:
            commands = self._commands[queue] = QueueCommands(self.namespace, queue)
        return commands

    def _register(self, queue: str) -> None:
        if queue not in self._registered:
            register_queues(self.client, self.namespace, [queue])
            self._registered.add(queue)


def _about(error: BrokerError, jobs: Sequence[NewJob]) -> BrokerError:
    """Say which job an unanswered add was about."""
    if isinstance(error, BrokerUnavailable):
        outcome = (
            "whether it was added is unknown" if error.outcome_unknown else "nothing was added"
        )
        again = f"adding again with job_id={jobs[0].id!r} is safe"
        if len(jobs) > 1:
            again = f"adding these {len(jobs)} again, each with its own of `job_ids`, is safe"
        return BrokerUnavailable(
            f"{error}; {outcome}; {again}",
            job_ids=[job.id for job in jobs],
            outcome_unknown=error.outcome_unknown,
        )
    return error
