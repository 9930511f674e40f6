"""Doing something to jobs by hand: to some by their ids, or to all that a filter finds.

A bar shows the way, at a terminal. Called by jobd.cli.jobs_verb.
"""

from __future__ import annotations

from typing import NamedTuple

from jobd.broker.connection import connect
from jobd.broker.finding import Finder, Wanted
from jobd.broker.store import Store
from jobd.broker.views import Views
from jobd.cli.progress import progress
from jobd.client.operate import carry_out
from jobd.core.config import Config


class Outcome(NamedTuple):
    """What became of one job, or in a dry run: the state it is in."""

    id: str
    queue: str
    word: str


class Request(NamedTuple):
    """One command line, read."""

    verb: str
    ids: tuple[str, ...]
    queue: str | None
    states: tuple[str, ...]
    wanted: Wanted
    dry_run: bool
    force: bool


class Operation:
    """One request at one namespace. `done` grows while it runs."""

    def __init__(self, request: Request, config: Config) -> None:
        self.done: list[Outcome] = []
        self._seen: set[tuple[str, str]] = set()
        self._request = request
        self._client = connect(config.redis.url, timeout=2.0)
        self._space = config.redis.namespace
        self._views = Views(self._client, self._space)

    def run(self, *, quiet: bool) -> None:
        """Carry it out. Raises BrokerError; what was done until then is in `done`."""
        request = self._request
        if request.ids:
            self._by_id()
            return
        queues = [request.queue] if request.queue else self._views.queues()
        finders = {queue: Finder(self._client, self._space, queue) for queue in queues}
        total = sum(finder.size(request.states) for finder in finders.values())
        with progress(request.verb, total, quiet=quiet) as advance:
            for queue, finder in finders.items():
                for state in request.states:
                    for looked, page in finder.pages((state,), request.wanted):
                        self._each(queue, [job.id for job in page], state)
                        advance(looked)

    def _by_id(self) -> None:
        for job_id in dict.fromkeys(self._request.ids):
            queue = self._request.queue or self._views.find(job_id)
            if queue is None:
                self.done.append(Outcome(job_id, "", "gone"))
            else:
                self._each(queue, [job_id], self._views.state(queue, job_id) or "gone")

    def _each(self, queue: str, ids: list[str], state: str) -> None:
        # A scan may give a job twice; what was done to it is what was said first.
        fresh = [job_id for job_id in ids if (queue, job_id) not in self._seen]
        self._seen.update((queue, job_id) for job_id in fresh)
        if self._request.dry_run:
            self.done += [Outcome(job_id, queue, state) for job_id in fresh]
            return
        store = Store(self._client, self._space, queue)
        words = carry_out(self._request.verb, store, fresh, force=self._request.force)
        self.done += [Outcome(job_id, queue, word) for job_id, word in words]
