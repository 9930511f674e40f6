"""`world`: jobs on a real server, run by the real worker code, at a time that the test moves.

Every script takes an injected `now`; here it is the world's clock, which stands still until the test
moves it. So a retry in an hour is a retry in an hour, and no test sleeps. Nothing runs by itself:
`run` and its relatives are the worker and the keeper, in the test's own thread.

Invariant: whatever is due runs by the order of its queue, one job after another; queues take turns.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from jobd.broker.commands import WAITS, Claimed, Completed, End, Ending
from jobd.broker.connection import Client, connect
from jobd.broker.finding import Finder
from jobd.broker.new_job import NewJob
from jobd.broker.private import private_server
from jobd.broker.schedules import DECLARED, ScheduleStore
from jobd.broker.store import Store, register_queues
from jobd.broker.views import Views
from jobd.broker.why import WhyFacts
from jobd.client.app import Jobd
from jobd.client.hooks import BY_JOBS
from jobd.client.queue import Queue
from jobd.core.durations import Duration, milliseconds
from jobd.core.errors import OptionError
from jobd.core.limits import resolve_limits
from jobd.core.states import COMPLETED, DELAYED, WAITING
from jobd.seams.clock import utc, wall_ms
from jobd.testing.added import Added, read_added
from jobd.testing.here import WORKER, beside_the_loop, policy_of, run_here
from jobd.testing.memory import in_vain
from jobd.testing.place import check_app, in_place_of_the_producer
from jobd.worker.notes import Recorder

T = TypeVar("T")

_LEASE_MS = 10 * 365 * 86_400_000  # no time that a test lets pass shall end it
MOST = 10_000


class Unsettled(AssertionError):
    """Jobs went on and on: one that always makes another, or is always tried again."""


@dataclass(frozen=True, slots=True)
class Ran:
    """One run: which job, when by the world's clock, and where it went: its state after it.

    `cause` is that of a death, `error` what was recorded of a failure.
    """

    id: str
    queue: str
    task: str
    at: datetime
    state: str
    cause: str | None = None
    error: str | None = None


class World:
    """A server, a clock, and an app between them. Made by `world`."""

    def __init__(self, app: Jobd, url: str, start: datetime | None) -> None:
        if start is not None and not (isinstance(start, datetime) and start.tzinfo):
            raise OptionError(
                f"world: start {start!r}; expected a datetime with a time zone, as in "
                "datetime(2026, 3, 1, tzinfo=UTC)"
            )
        self._app = app
        # Of its own, so that a server may serve many worlds.
        self._namespace = f"testing-{secrets.token_hex(4)}"
        self._client = connect(url)
        self._now = wall_ms() if start is None else int(start.timestamp() * 1000)
        self._joined: set[str] = set()
        for queue in app.queues.values():
            self._declare(queue)
        self.added = Added(app)

    # --- the clock ---

    @property
    def now(self) -> datetime:
        """The world's time, in UTC. What tasks ask Python for is not changed by it."""
        return utc(self._now / 1000)

    def advance(self, span: Duration) -> datetime:
        """Move the clock on; nothing runs. Raises OptionError."""
        self._now += milliseconds(span, what="advance")
        return self.now

    # --- the worker ---

    def run(self) -> list[Ran]:
        """Run everything that is due now, also what it adds. Raises Unsettled after 10,000 runs."""
        return self._until(0, None)

    def run_for(self, span: Duration) -> list[Ran]:
        """Let so much time pass, and run everything in it when it is due."""
        return self._until(milliseconds(span, what="run_for"), None)

    def settle(self) -> list[Ran]:
        """Let time pass until nothing waits and nothing is delayed. Raises Unsettled."""
        return self._until(None, None)

    async def arun(self) -> list[Ran]:
        """As `run`, from code on an event loop, where what is async runs too."""
        return await beside_the_loop(self._until, 0, asyncio.get_running_loop())

    async def arun_for(self, span: Duration) -> list[Ran]:
        """As `run_for`, from code on an event loop."""
        ms = milliseconds(span, what="arun_for")
        return await beside_the_loop(self._until, ms, asyncio.get_running_loop())

    async def asettle(self) -> list[Ran]:
        """As `settle`, from code on an event loop."""
        return await beside_the_loop(self._until, None, asyncio.get_running_loop())

    def _until(self, span: int | None, loop: asyncio.AbstractEventLoop | None) -> list[Ran]:
        """Run what is due, move on to what is due next, and so on, for so many ms or to the end."""
        end = None if span is None else self._now + span
        ran: list[Ran] = []
        while True:
            slot = self._fire()
            due = self._run_due(ran, loop)
            # Schedules go on for ever: they alone are no reason to go on.
            if due is None and end is None:
                break
            upcoming = min((at for at in (due, slot) if at is not None), default=None)
            if upcoming is None or (end is not None and upcoming > end):
                break
            self._now = max(self._now, upcoming)
        if end is not None:
            self._now = end
        self._tidy()
        return ran

    def _run_due(self, ran: list[Ran], loop: asyncio.AbstractEventLoop | None) -> int | None:
        """Run what is due, queue by queue in turns; give when the next is due (ms)."""
        while True:
            before = len(ran)
            dues = [self._turn(queue, ran, loop) for queue in list(self._app.queues.values())]
            if len(ran) == before:
                # What is due and does not run, in a queue that is paused, is nothing to wait for.
                return min((due for due in dues if due and due > self._now), default=None)
            if len(ran) > MOST:
                raise Unsettled(
                    f"world: {len(ran)} runs and no end; expected jobs that settle; the last ones: "
                    + ", ".join(f"{each.task} ({each.state})" for each in ran[-3:])
                )

    def _fire(self) -> int | None:
        """Do what the keeper does for schedules; give when the next slot is (ms)."""
        slots = []
        for queue in list(self._app.queues.values()):
            self._declare(queue)
            store = self.schedules(queue.name)
            # A look knows no next slot of what it fires itself.
            store.fire_due()
            looked = store.fire_due()
            if looked.wait is not None:
                slots.append(self._now + looked.wait)
        return min(slots, default=None)

    def _declare(self, queue: Queue) -> None:
        for schedule in queue.declared.values():
            self.schedules(queue.name).put(schedule, origin=DECLARED)

    def _turn(
        self, queue: Queue, ran: list[Ran], loop: asyncio.AbstractEventLoop | None
    ) -> int | None:
        store, policy = self.store(queue.name), policy_of(queue)
        if queue.name not in self._joined:
            store.join(
                WORKER,
                _LEASE_MS,
                policy,
                hooks=self._app.hooks.asked(BY_JOBS),
                limits=resolve_limits(queue.limits),
            )
            self._joined.add(queue.name)
        claim = store.claim(WORKER, _LEASE_MS, limit=1)
        for job in claim.jobs:
            record = self._recorder(queue)
            outcome = run_here(self._app, queue, job, now=self._now, record=record, loop=loop)
            ending = outcome.ending
            done, ends = ([ending], []) if isinstance(ending, Completed) else ([], [ending])
            if outcome.jots:
                store.jot(WORKER, outcome.jots)
            store.settle(
                WORKER, _LEASE_MS, keep=policy.completed_count, completed=done, endings=ends
            )
            ran.append(_ran(queue.name, job, self.now, ending))
        return claim.again_at

    def _recorder(self, queue: Queue) -> Recorder:
        store = self.store(queue.name)
        return lambda job_id, claim, name, value: store.step(WORKER, job_id, claim, name, value)

    def _tidy(self) -> None:
        """Do what the keeper does for a queue: retention."""
        for queue in self._app.queues.values():
            policy = policy_of(queue)
            while self.store(queue.name).trim(policy).more:
                pass

    # --- the producer's place (client/instead.py) ---

    def add(self, queue: str, jobs: Sequence[NewJob], *, fresh: bool) -> list[bytes]:
        """Add jobs, now by the world's clock."""
        register_queues(self._client, self._namespace, [queue])
        words = self.store(queue).add_once(jobs, fresh=fresh)
        for job, word in zip(jobs, words, strict=True):
            self.added.note(read_added(queue, job, word))
        return words

    async def add_async(self, queue: str, jobs: Sequence[NewJob], *, fresh: bool) -> list[bytes]:
        """Add jobs; the server is at hand, so this blocks the loop for less than it would cost."""
        return self.add(queue, jobs, fresh=fresh)

    def client(self) -> Client:
        """Give the client of the private server."""
        return self._client

    def store(self, queue: str) -> Store:
        """Give a queue's transitions, now by the world's clock."""
        return Store(self._client, self._namespace, queue, now=self._now)

    def schedules(self, queue: str) -> ScheduleStore:
        """Give a queue's schedules, now by the world's clock."""
        return ScheduleStore(self._client, self._namespace, queue, now=self._now)

    def finder(self, queue: str) -> Finder:
        """Give the walks through a queue."""
        return Finder(self._client, self._namespace, queue, now=self._now)

    def views(self) -> Views:
        """Give the reads."""
        return Views(self._client, self._namespace, now=self._now)

    def end_of(self, queue: str, job_id: str) -> End:
        """Give a job's end, if it has one: the test has to run the job itself."""
        end = self.store(queue).await_end(job_id, 0)
        if end.state == WAITS:
            state = self.views().state(queue, job_id)
            raise in_vain(job_id, state, "call run() or settle() of the world before")
        return end

    def why_facts(self, queue: str) -> WhyFacts:
        """Give what reads why a job has not run, by the world's clock."""
        return WhyFacts(self._client, self._namespace, queue, now=self._now)

    def close(self) -> None:
        """Let go of the server."""
        self._client.close()


def _ran(queue: str, job: Claimed, at: datetime, ending: Completed | Ending) -> Ran:
    state, cause, error = COMPLETED, None, None
    if isinstance(ending, Ending):
        state = {"done": COMPLETED, "retry": DELAYED, "throttle": WAITING}.get(
            ending.verb, ending.verb
        )
        if ending.verb == "retry" and not ending.delay_ms:
            state = WAITING
        cause = ending.cause if ending.verb == "dead" else None
        error = str(ending.fields["error"]) if "error" in ending.fields else None
    return Ran(job.id.decode(), queue, job.task.decode(), at, state, cause, error)


@contextmanager
def world(app: Jobd, *, start: datetime | None = None, url: str | None = None) -> Iterator[World]:
    """Give an app a private server and a clock of its own while the block runs.

    `start` is an aware datetime; default: now. `url` names a server that is private already, such as
    that of the pytest fixture `jobd_server`; default: one that is started for this block. The app's own
    Redis is not spoken to. Raises OptionError, TypeError, NoServer.
    """
    check_app(app, what="world")
    with ExitStack() as stack:
        if url is None:
            # Not below the test's own directory: a socket's path must be short.
            top = stack.enter_context(tempfile.TemporaryDirectory(prefix="jobd-"))
            url = stack.enter_context(private_server(Path(top)))
        made = World(app, url, start)
        stack.callback(made.close)
        stack.enter_context(in_place_of_the_producer(app, made))
        yield made
