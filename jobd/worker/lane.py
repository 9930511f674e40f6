"""A lane: where one job at a time runs, with a cell of the page to itself.

    begin ──► the task's function ──► succeeded | failed
      └─► judged before its start: expired, unknown, accused, revoked, not readable

A worker has as many lanes as it runs jobs at once. Each executor takes a job from the desk and puts
it through these steps in its own way; what they are is written here alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jobd.broker.commands import Claimed, Completed
from jobd.client.job import Job
from jobd.client.payload import encode_payload
from jobd.core import verdict
from jobd.core.errors import TaskError
from jobd.core.events import Event
from jobd.core.options import Policy
from jobd.core.ran import WORTH_TELLING
from jobd.core.verdict import TIMED_OUT, Bury, RetryLater, before_start
from jobd.seams.clock import monotonic, utc
from jobd.seams.scoreboard_page import Page
from jobd.worker.copy import end_copy
from jobd.worker.desk import Desk
from jobd.worker.ended import LIGHT
from jobd.worker.outcome import NO_HISTORY, PUT_OFF, UNTOUCHED, Outcomes, Run
from jobd.worker.record import (
    UNREADABLE,
    Past,
    last_error,
    noted,
    read_labels,
    read_past,
    writable,
)
from jobd.worker.runnable import Runnable, context
from jobd.worker.soft import Deadline, ThreadWatch, call_async, make_deadline
from jobd.worker.tell import text
from jobd.worker.watch import Watch

Call = tuple[tuple[Any, ...], dict[str, Any]]
"""What a function is called with."""


class Lane(Run):
    """Runs one job after another. One thread at a time may use it."""

    __slots__ = (
        "_cell", "_completed_ms", "_copies", "_costs", "_deadline", "_deadlines", "_desk", "_done", "_outcomes", "_page", "_queue", "_tasks", "running",
    )  # fmt: skip

    def __init__(
        self,
        cell: int,
        *,
        queue: str,
        tasks: dict[bytes, Runnable],
        page: Page,
        desk: Desk,
        outcomes: Outcomes,
        deadlines: ThreadWatch,
    ) -> None:
        self.running: Claimed | None = None
        """The job in this lane, from when it was taken from the desk until it is out of it."""
        self.started = 0.0
        self._cell = cell
        self._deadlines = deadlines
        self._deadline: Deadline | None = None  # made when it is first needed
        self._queue = queue
        self._tasks = tasks
        self._page = page
        self._desk = desk
        self._outcomes = outcomes
        self._copies = outcomes.copies
        # What each job needs is looked up once.
        self._costs = desk.costs
        self._done = desk.done
        self._completed_ms = outcomes.queue_policy.completed_ms

    def run(self, job: Claimed) -> None:
        """Run one job here and now, from its judgement to its ending."""
        call = self.begin(job)
        if call is None:
            return
        args, kwargs = call
        try:
            if self.policy.soft_timeout:
                value = self._call_softly(args, kwargs)
            else:
                value = self.runnable.function(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001  user code: all it raises is its failure
            self.failed(error)
        else:
            self.succeeded(value)

    def is_async(self, job: Claimed) -> bool:
        """Say whether a job is for an event loop to run. An unknown one is for nobody."""
        runnable = self._tasks.get(job.task)
        return runnable is None or runnable.is_async

    async def run_async(self, job: Claimed) -> None:
        """Run one job on the event loop, from its judgement to its ending."""
        call = self.begin(job)
        if call is None:
            return
        args, kwargs = call
        try:
            coroutine = self.runnable.function(*args, **kwargs)
            if self.policy.soft_timeout:
                coroutine = call_async(self.started + self.policy.soft_timeout, coroutine)
            value = await coroutine
        except BaseException as error:  # noqa: BLE001  user code: all it raises is its failure
            self.failed(error)
        else:
            self.succeeded(value)

    def begin(self, job: Claimed) -> Call | None:
        """Make all ready, and give what to call the task with; None: the job ended without."""
        self.job = job
        runnable = self._tasks.get(job.task)
        if job.more or runnable is None:
            runnable = self._judge(job, runnable)
            if runnable is None:
                return None
            policy = self.policy
        else:
            policy = self.policy = runnable.policy
            self.counters, self.history = UNTOUCHED, NO_HISTORY
        self.runnable = runnable
        page = self._page
        # From here to `finish` the job answers for whatever becomes of this process: converting its
        # arguments, writing its error down and encoding its result run the application's code too.
        self.started = started = monotonic()
        deadline = started + policy.timeout if policy.timeout else 0.0
        revoked = page.start(self._cell, job.id, job.claim, runnable.raw_name, started, deadline)
        if revoked >= job.claim or started > self._desk.ours_until:
            # The keeper took this claim's unstarted jobs away while we could not answer, or we stood
            # still for a lease and another host may have them, or for longer than a rate limit lets
            # a start be late. If nobody has them, we hand them back.
            page.finish(self._cell)
            self._desk.revoked.append(job)
            return None
        try:
            call = runnable.decode(job.args)
        except BaseException as error:  # noqa: BLE001  user code: a dataclass may refuse its fields
            self._costs.touch(job.task)
            self._outcomes.bury_undecoded(job, error, self.history)
            page.finish(self._cell)
            return None
        self.watch = None
        if runnable.wants_job:
            args, kwargs = call
            return (self._context(job, runnable, deadline), *args), kwargs
        return call

    def succeeded(self, value: object) -> None:
        """Take in what the task returned."""
        if self._copies.here:
            end_copy(None)
        job, watch, started, ended = self.job, self.watch, self.started, monotonic()
        told = watch is not None and watch.seen
        spent = ended - started
        self._costs.note(job.task, spent)
        result = b""
        if value is not None and not told:
            try:
                result = encode_payload(value, what=f"result of task {self.runnable.name!r}")
            except TaskError as error:
                outcomes, line = self._outcomes, writable(f"{error}")
                figures = outcomes.figures(job, self.runnable.name, started, ended)
                outcomes.bury(job, "unencodable", line, self.history, figures=figures)
                self._page.finish(self._cell)
                return
            if len(result) > LIGHT:
                self._desk.weigh(job.task, len(result))
        figures = self._outcomes.figures(job, self.runnable.name, started, ended)
        if told:
            self._outcomes.cancelled(self, "", figures, ended)
        elif (
            self.history
            or self.policy.completed_ms != self._completed_ms
            or b"unique" in job.more  # a lock to let go of
        ):
            self._outcomes.done_at_length(self, figures, result, ended)
        elif spent < WORTH_TELLING:
            # With b"", though that goes without saying: filling it in would cost each job a little.
            self._done.append(Completed(job.id, job.claim, figures, result, b""))
        else:
            ran = self._outcomes.spell_run(self, ended)
            self._done.append(Completed(job.id, job.claim, figures, result, ran))
        self._page.finish(self._cell)

    def failed(self, error: BaseException) -> None:
        """Take in what the task raised."""
        self._outcomes.failed(self, error, monotonic())
        self._page.finish(self._cell)

    def _call_softly(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        if self._deadline is None:
            self._deadline = make_deadline(self._deadlines)
        at = self.started + self.policy.soft_timeout
        return self._deadline.call(at, self.runnable.function, args, kwargs)

    def _judge(self, job: Claimed, runnable: Runnable | None) -> Runnable | None:
        """Judge before the start: unknown, accused, timed out, or simply with options.

        Give what is to run, with its policy, counters and history in place; None for nothing.
        """
        outcomes = self._outcomes
        try:
            past = read_past(job.more)
            self.policy = runnable.policy_for(past.options) if runnable else outcomes.queue_policy
            if past.expires is not None and self._desk.store_ms() > past.expires:
                outcomes.bury(job, "expired", "it could not start in time", past.history)
                return None
            if runnable is None:
                outcomes.park(job, past)
                return None
        except UNREADABLE as error:
            outcomes.bury_corrupt(job, error)
            return None
        self.counters, self.history = past.counters, past.history
        judged = self._verdict(job, runnable, past)
        if isinstance(judged, verdict.Run):
            return runnable
        # What is judged here was ended with its process. How long a run took that its timeout ended
        # is known; of others it is not.
        timed_out = past.ended == TIMED_OUT
        figures = outcomes.timed_out(job, runnable.name, self.policy.timeout) if timed_out else ""
        line = last_error(past.history)
        if isinstance(judged, Bury):
            outcomes.bury(job, judged.cause, line, past.history, figures=figures)
        else:
            history = noted(past.history, judged.note)
            cause = "timeout" if timed_out else PUT_OFF
            outcomes.retry(job, judged, cause, history, {"error": line}, figures)
        return None

    def _verdict(
        self, job: Claimed, runnable: Runnable, past: Past
    ) -> verdict.Run | RetryLater | Bury:
        random = self._outcomes.random
        if past.ended != TIMED_OUT:
            return before_start(past.counters, self.policy, random, ended=past.ended)
        # The application's back-off function may be asked: the job answers for what that does to
        # this process, as it does while it runs.
        self.started = started = monotonic()
        deadline = started + self.policy.timeout if self.policy.timeout else 0.0
        self._page.start(self._cell, job.id, job.claim, runnable.raw_name, started, deadline)
        self._costs.touch(job.task)
        judged = before_start(past.counters, self.policy, random, ended=past.ended)
        if self._copies.here:
            end_copy(None)
        self._page.finish(self._cell)
        return judged

    def _context(self, job: Claimed, runnable: Runnable, deadline: float) -> Job:
        job_id = text(job.id)
        self.watch = Watch(self._page, self._cell, job_id, job.claim)
        at = (deadline * 1000 + self._desk.store_offset_ms) / 1000
        return context(
            job_id=job_id,
            queue=self._queue,
            task=runnable.name,
            token=job.claim,
            attempt=self.counters.attempts_used + 1,
            snoozed=self.counters.snoozed,
            policy=self.policy,
            enqueued_at=utc(job.at / 1000),
            deadline=utc(at) if deadline else None,
            labels=read_labels(job.more),
            asks_cancelled=self.watch,
            notes=self._desk.notes.pad(job),
        )


@dataclass(frozen=True, slots=True)
class Makers:
    """What `make_lanes` makes lanes with. jobd.worker.hooked has others, for where hooks are asked for."""

    outcomes: Callable[..., Outcomes] = Outcomes
    lane: Callable[..., Lane] = Lane


def make_lanes(
    count: int,
    *,
    desk: Desk,
    queue: str,
    tasks: dict[bytes, Runnable],
    page: Page,
    worker: str,
    queue_policy: Policy,
    emit: Callable[[Event], None],
    alarms: bool = True,
    makers: Makers = Makers(),
) -> list[Lane]:
    """Make the lanes of one worker, each with its cell of the page.

    `alarms`: SIGALRM is ours to use, for soft deadlines in the main thread.
    """
    outcomes = makers.outcomes(
        desk=desk, tasks=tasks, worker=worker, queue_policy=queue_policy, emit=emit
    )
    deadlines = ThreadWatch(alarms=alarms)
    return [
        makers.lane(
            cell,
            queue=queue,
            tasks=tasks,
            page=page,
            desk=desk,
            outcomes=outcomes,
            deadlines=deadlines,
        )
        for cell in range(count)
    ]
