"""Doing something to jobs by hand: to some by their ids, or to all that a filter finds.

A bar shows the way, at a terminal. Called by jobd.cli.jobs_verb.
"""

from __future__ import annotations

from typing import NamedTuple

from jobd.broker.finding import Wanted
from jobd.broker.views import Views
from jobd.cli.progress import progress
from jobd.cli.redis import client_of
from jobd.client.operate import How
from jobd.client.operate_many import Order, Outcome, Sweep, by_id
from jobd.core.config import Config


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
        self._request = request
        self._client = client_of(config)
        self._space = config.redis.namespace

    def run(self, *, quiet: bool) -> None:
        """Carry it out. Raises BrokerError; what was done until then is in `done`."""
        request = self._request
        if request.ids:
            for outcome in by_id(
                self._client, self._space, request.verb, request.ids,
                queue=request.queue, how=How(force=request.force), dry_run=request.dry_run,
            ):  # fmt: skip
                self.done.append(outcome)
            return
        sweep = Sweep(self._client, self._space, self._order())
        with progress(request.verb, sweep.size(), quiet=quiet) as advance:
            for step in sweep.steps():
                self.done += step.outcomes
                advance(step.looked)

    def _order(self) -> Order:
        request = self._request
        queue = request.queue
        return Order(
            verb=request.verb,
            queues=(queue,) if queue else tuple(Views(self._client, self._space).queues()),
            states=request.states,
            wanted=request.wanted,
            dry_run=request.dry_run,
            force=request.force,
        )
