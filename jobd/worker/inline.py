"""The executor `inline`: the main thread runs one job after another.

It knows nothing of Redis. Jobs come in through `load`, ends go out through `done` and `endings`,
all of them deques: their pops are atomic, so that the side thread may take unstarted jobs and
finished ends away while a job overstays, and no job is ever in two hands.
"""

from __future__ import annotations

import random
from collections import deque
from typing import Any, NamedTuple

import msgspec

from jobd.broker.commands import Claim, Claimed, Completed, Ending
from jobd.client.signature import encode_payload
from jobd.core.errors import NotSerializable, OptionError, PayloadTooLarge
from jobd.core.options import Policy
from jobd.core.verdict import Bury, Counters, RetryLater, after_failure, before_start
from jobd.seams.clock import monotonic, utc
from jobd.seams.scoreboard import Page
from jobd.worker.costs import Costs
from jobd.worker.figures import Figures
from jobd.worker.record import counters_of, describe, history_of, options_of, write_history
from jobd.worker.runnable import Runnable, context

_UNTOUCHED = Counters()

PARK_MS = 15_000
PARK_LIMIT_MS = 3_600_000


class Ticket(NamedTuple):
    """A claimed job, the number of its claim, and Redis' clock against ours at the claim."""

    job: Claimed
    claim: int
    store_offset_ms: float


class InlineExecutor:
    """Runs what was claimed. One slot, one thread."""

    def __init__(
        self,
        *,
        queue: str,
        tasks: dict[bytes, Runnable],
        page: Page,
        worker: str,
        queue_policy: Policy,
    ) -> None:
        self.unstarted: deque[Ticket] = deque()
        self.done: deque[Completed] = deque()
        self.endings: deque[Ending] = deque()
        self.revoked: list[tuple[bytes, int]] = []
        self.figures = Figures()
        self.costs = Costs()
        self.running: Ticket | None = None
        self.started = 0.0
        self._queue = queue
        self._tasks = tasks
        self._page = page
        self._worker = worker
        self._queue_policy = queue_policy

    def load(self, claim: Claim, now: float) -> None:
        """Take in a batch. `now` is our monotonic clock when its reply came."""
        offset = claim.now - now * 1000
        number = claim.number
        self.unstarted.extend(Ticket(job, number, offset) for job in claim.jobs)

    def run_next(self) -> bool:
        """Run one job; False when there is none."""
        try:
            ticket = self.unstarted.popleft()
        except IndexError:
            return False
        self.running = ticket
        try:
            if ticket.job.more or ticket.job.task not in self._tasks:
                self._run_with_a_past(ticket)
            else:
                runnable = self._tasks[ticket.job.task]
                self._run(ticket, runnable, runnable.policy, _UNTOUCHED, [])
        finally:
            self.running = None
        return True

    def _run_with_a_past(self, ticket: Ticket) -> None:
        """Judge before the start: unknown, accused, timed out, or simply with options."""
        job = ticket.job
        runnable = self._tasks.get(job.task)
        if runnable is None:
            self._park(ticket)
            return
        try:
            counters, history = counters_of(job.more), history_of(job.more)
            policy = runnable.policy_for(options_of(job.more))
        except (ValueError, TypeError, OptionError, msgspec.DecodeError) as error:
            self._bury(ticket, "corrupt", f"its record cannot be read: {error}", [], {})
            return
        timed_out = job.more.get(b"ended") == b"timeouts"
        match before_start(counters, policy, random.random, timed_out=timed_out):
            case Bury(cause):
                self._bury(ticket, cause, _last_error(history), history, {})
            case RetryLater(delay):
                self._retry(ticket, delay, "timeout", history, {})
            case _:
                self._run(ticket, runnable, policy, counters, history)

    def _run(
        self,
        ticket: Ticket,
        runnable: Runnable,
        policy: Policy,
        counters: Counters,
        history: list[dict[str, Any]],
    ) -> None:
        job = ticket.job
        try:
            kwargs = runnable.decode(job.args)
        except (msgspec.DecodeError, ValueError, TypeError) as error:
            self._bury(ticket, "undecodable", f"{error}", history, {})
            return
        self.started = started = monotonic()
        deadline = started + policy.timeout if policy.timeout else 0.0
        self._page.start(0, job.id, ticket.claim, runnable.raw_name, started, deadline)
        if self._page.revoked() >= ticket.claim:
            # The keeper took this claim's unstarted jobs away while we could not answer. Perhaps it
            # has not handed them back, seeing that we go on: then it is ours to do.
            self._page.finish(0)
            self.revoked.append((job.id, ticket.claim))
            return
        args: tuple[Any, ...] = ()
        if runnable.wants_job:
            args = (self._context(ticket, runnable, policy, counters, deadline),)
        try:
            value = runnable.function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  user code: whatever it raises is its failure
            ended = monotonic()
            self._page.finish(0)
            self._failed(ticket, error, policy, counters, history, started, ended)
            return
        ended = monotonic()
        self._page.finish(0)
        self.costs.note(job.task, ended - started)
        result = b""
        if value is not None:
            try:
                result = encode_payload(value, what=f"result of task {runnable.name!r}")
            except (NotSerializable, PayloadTooLarge) as error:
                self._bury(ticket, "unencodable", f"{error}", history, {})
                return
        figures = self._figures(ticket, started, ended)
        if policy is self._queue_policy or policy.completed_ms == self._queue_policy.completed_ms:
            if not history:
                self.done.append(Completed(job.id, ticket.claim, figures, result))
                return
            own_ms = 0
        else:
            own_ms = policy.completed_ms
        fields: dict[str, str | bytes | int] = {"result": result} if result else {}
        if history:
            fields["history"] = write_history(history)
        self.endings.append(Ending("done", job.id, ticket.claim, figures, own_ms, "", fields))

    def _failed(
        self,
        ticket: Ticket,
        error: Exception,
        policy: Policy,
        counters: Counters,
        history: list[dict[str, Any]],
        started: float,
        ended: float,
    ) -> None:
        line, trace = describe(error)
        after = Counters(
            failed=counters.failed + 1, timeouts=counters.timeouts, crashes=counters.crashes,
            lost=counters.lost, interrupted=counters.interrupted,
        )  # fmt: skip
        history.append({
            "kind": "failed",
            "at": round(ended * 1000 + ticket.store_offset_ms),
            "worker": self._worker,
            "token": ticket.claim,
            "ran_ms": round((ended - started) * 1000),
            "error": line,
            "traceback": trace,
        })  # fmt: skip
        self.costs.note(ticket.job.task, ended - started)
        fields: dict[str, str | bytes | int] = {"failed": after.failed, "error": line}
        match after_failure(after, policy, random.random, cause="failed"):
            case Bury(cause):
                self._bury(ticket, cause, line, history, fields, policy)
            case RetryLater(delay):
                self._retry(ticket, delay, "failed", history, fields)

    def _bury(
        self,
        ticket: Ticket,
        cause: str,
        error: str,
        history: list[dict[str, Any]],
        fields: dict[str, str | bytes | int],
        policy: Policy | None = None,
    ) -> None:
        fields = {**fields, "error": error, "history": write_history(history)}
        own_ms = 0
        if policy is not None and policy.dead_ms != self._queue_policy.dead_ms:
            own_ms = policy.dead_ms
        figures = self._figures(ticket, 0.0, 0.0)
        self.endings.append(
            Ending("dead", ticket.job.id, ticket.claim, figures, own_ms, cause, fields)
        )

    def _retry(
        self,
        ticket: Ticket,
        delay: float,
        cause: str,
        history: list[dict[str, Any]],
        fields: dict[str, str | bytes | int],
    ) -> None:
        fields = {**fields, "history": write_history(history)}
        figures = self._figures(ticket, 0.0, 0.0)
        self.endings.append(
            Ending(
                "retry", ticket.job.id, ticket.claim, figures, round(delay * 1000), cause, fields
            )
        )

    def _park(self, ticket: Ticket) -> None:
        """No worker with this code knows the name: set it aside, another deployment may."""
        now = round(monotonic() * 1000 + ticket.store_offset_ms)
        since = int(ticket.job.more.get(b"parked", now))
        name = ticket.job.task.decode("utf-8", "replace")
        line = f"no worker knows the task {name!r}; deploy the code that declares it"
        if now - since >= PARK_LIMIT_MS:
            self._bury(ticket, "unknown_task", line, [], {})
            return
        fields: dict[str, str | bytes | int] = {"parked": since, "error": line}
        self.endings.append(
            Ending("retry", ticket.job.id, ticket.claim, "?|0|0|0", PARK_MS, "parked", fields)
        )

    def _figures(self, ticket: Ticket, started: float, ended: float) -> str:
        """Spell the run's buckets. Times are ours, brought to Redis' clock by the claim's offset."""
        start = started or monotonic()
        due = ticket.job.at
        if ticket.job.more:
            due = int(ticket.job.more.get(b"due", due))
        wait = int(start * 1000 + ticket.store_offset_ms) - due
        # Whatever stands in a stranger's record must not become a field of the tallies.
        known = self._tasks.get(ticket.job.task)
        return self.figures.of(known.name if known else "?", wait, (ended - started) * 1000)

    def _context(
        self,
        ticket: Ticket,
        runnable: Runnable,
        policy: Policy,
        counters: Counters,
        deadline: float,
    ) -> Any:
        at = (deadline * 1000 + ticket.store_offset_ms) / 1000
        return context(
            job_id=ticket.job.id.decode(),
            queue=self._queue,
            task=runnable.name,
            token=ticket.claim,
            attempt=counters.attempts_used + 1,
            policy=policy,
            enqueued_at=utc(ticket.job.at / 1000),
            deadline=utc(at) if deadline else None,
        )


def _last_error(history: list[dict[str, Any]]) -> str:
    return str(history[-1].get("error", history[-1].get("kind", ""))) if history else ""
