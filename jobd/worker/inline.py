"""The executor `inline`: the main thread runs one job after another.

It knows nothing of Redis. Jobs come in through `load`, ends go out through `done` and `endings`,
all of them deques: their pops are atomic, so that the side thread may take unstarted jobs and
finished ends away while a job overstays, and no job is ever in two hands.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from jobd.broker.commands import Claim, Claimed, Completed, Ending
from jobd.client.signature import encode_payload
from jobd.core.errors import TaskError
from jobd.core.events import Event
from jobd.core.names import check_name
from jobd.core.options import Policy
from jobd.core.verdict import Bury, Counters, Postpone, RetryLater, Run, after_error, before_start
from jobd.seams.clock import monotonic, utc
from jobd.seams.host import Copies
from jobd.seams.scoreboard import Page
from jobd.seams.stop import Stop
from jobd.worker.copy import end_copy
from jobd.worker.costs import Costs
from jobd.worker.figures import Figures
from jobd.worker.record import (
    MAX_ERROR,
    UNREADABLE,
    Past,
    describe,
    last_error,
    noted,
    read_past,
    writable,
    write_history,
)
from jobd.worker.runnable import Runnable, context
from jobd.worker.tell import Teller, text
from jobd.worker.watch import Watch

Fields = dict[str, str | bytes | int]

_UNTOUCHED = Counters()
_NO_HISTORY: list[dict[str, Any]] = []
# The figures of what was no run of a known task.
_NO_RUN = "?|0|0|0"

PARK_MS = 15_000
PARK_LIMIT_MS = 3_600_000


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
        lease: float,
        emit: Callable[[Event], None],
    ) -> None:
        self.unstarted: deque[Claimed] = deque()
        self.done: deque[Completed] = deque()
        self.endings: deque[Ending] = deque()
        self.revoked: deque[Claimed] = deque()
        self.figures = Figures()
        self.costs = Costs()
        self.running: Claimed | None = None
        self.started = 0.0
        self._store_offset_ms = 0.0  # Redis' clock less ours, as the last claim showed it
        self._lease = lease
        self._ours_until = 0.0  # what was claimed longer ago may be somebody else's by now
        self._queue = queue
        self._tasks = tasks
        self._page = page
        self._worker = worker
        self._queue_policy = queue_policy
        self._tell = Teller(emit)
        self._copies = Copies()
        # Our own: an application that seeds `random` would draw the same jitter for all its jobs.
        self._random = random.Random().random

    def load(self, claim: Claim, now: float) -> None:
        """Take in a batch. `now` is our monotonic clock when its reply came."""
        self._store_offset_ms = claim.now - now * 1000
        self._ours_until = now + self._lease
        self.unstarted.extend(claim.jobs)

    def forget(self) -> None:
        """Drop everything claimed: the store that gave it is no more."""
        for line in (self.unstarted, self.done, self.endings, self.revoked):
            line.clear()

    def run_all(self, stop: Stop) -> None:
        """Run jobs until there is none, or somebody asks to stop."""
        take, tasks = self.unstarted.popleft, self._tasks
        try:
            while not stop.asked:
                try:
                    job = self.running = take()
                except IndexError:
                    return
                runnable = tasks.get(job.task)
                if job.more or runnable is None:
                    self._run_with_a_past(job, runnable)
                else:
                    self._run(job, runnable, runnable.policy, _UNTOUCHED, _NO_HISTORY)
        finally:
            self.running = None

    def _run_with_a_past(self, job: Claimed, runnable: Runnable | None) -> None:
        """Judge before the start: unknown, accused, timed out, or simply with options."""
        try:
            past = read_past(job.more)
            policy = runnable.policy_for(past.options) if runnable else self._queue_policy
            if past.expires is not None and self._store_ms() > past.expires:
                self._bury(job, "expired", "it could not start in time", past.history, {})
                return
            if runnable is None:
                self._park(job, past)
                return
        except UNREADABLE as error:
            self._bury_corrupt(job, error)
            return
        counters, history = past.counters, past.history
        match self._judge(job, runnable, policy, past):
            case Bury(cause):
                self._bury(job, cause, last_error(history), history, {})
            case RetryLater(delay, note):
                fields: Fields = {"error": last_error(history)}
                self._retry(job, delay, "timeout", noted(history, note), fields, note)
            case _:
                self._run(job, runnable, policy, counters, history)

    def _judge(
        self, job: Claimed, runnable: Runnable, policy: Policy, past: Past
    ) -> Run | RetryLater | Bury:
        if not past.timed_out:
            return before_start(past.counters, policy, self._random, timed_out=False)
        # The application's back-off function may be asked: the job answers for what that does to
        # this process, as it does while it runs.
        self.started = started = monotonic()
        deadline = started + policy.timeout if policy.timeout else 0.0
        self._page.start(0, job.id, job.claim, runnable.raw_name, started, deadline)
        verdict = before_start(past.counters, policy, self._random, timed_out=True)
        if self._copies.here:
            end_copy(None)
        self._page.finish(0)
        return verdict

    def _run(
        self,
        job: Claimed,
        runnable: Runnable,
        policy: Policy,
        counters: Counters,
        history: list[dict[str, Any]],
    ) -> None:
        page = self._page
        # From here to `finish` the job answers for whatever becomes of this process: converting its
        # arguments, writing its error down and encoding its result run the application's code too.
        self.started = started = monotonic()
        deadline = started + policy.timeout if policy.timeout else 0.0
        page.start(0, job.id, job.claim, runnable.raw_name, started, deadline)
        if page.revoked() >= job.claim or started > self._ours_until:
            # The keeper took this claim's unstarted jobs away while we could not answer, or we stood
            # still for a lease and another host may have them. If nobody has, we hand them back.
            page.finish(0)
            self.revoked.append(job)
            return
        try:
            args, kwargs = runnable.decode(job.args)
        except BaseException as error:  # noqa: BLE001  user code: a dataclass may refuse its fields
            self._bury_undecoded(job, error, history)
            page.finish(0)
            return
        watch = None
        if runnable.wants_job:
            watch = Watch(page, 0, text(job.id), job.claim)
            args = (self._context(job, runnable, policy, counters, deadline, watch), *args)
        try:
            value = runnable.function(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001  user code: all it raises is its failure
            self._failed(job, error, policy, counters, history, started, monotonic(), watch)
            page.finish(0)
            return
        if self._copies.here:
            end_copy(None)
        ended = monotonic()
        told = watch is not None and watch.seen
        self.costs.note(job.task, ended - started)
        result = b""
        if value is not None and not told:
            try:
                result = encode_payload(value, what=f"result of task {runnable.name!r}")
            except TaskError as error:
                self._bury(job, "unencodable", writable(f"{error}"), history, {})
                page.finish(0)
                return
        page.finish(0)
        figures = self._figures(job, runnable.name, started, ended)
        own_time = policy.completed_ms != self._queue_policy.completed_ms
        if not (told or history or own_time or b"unique" in job.more):
            self.done.append(Completed(job.id, job.claim, figures, result))
        elif told:
            self._cancelled(job, "", history, figures, ended - started)
        else:
            self._done_at_length(job, policy, history, figures, result)

    def _done_at_length(
        self,
        job: Claimed,
        policy: Policy,
        history: list[dict[str, Any]],
        figures: str,
        result: bytes,
    ) -> None:
        own_ms = 0
        if policy.completed_ms != self._queue_policy.completed_ms:
            own_ms = max(1, policy.completed_ms)  # 0 would mean the queue's
        fields: Fields = {"result": result} if result else {}
        fields |= {"history": write_history(history)} if history else {}
        self.endings.append(Ending("done", job.id, job.claim, figures, own_ms, "", fields))

    def _cancelled(
        self, job: Claimed, error: str, history: list[dict[str, Any]], figures: str, span: float
    ) -> None:
        """Record a run that was told of its cancellation, and then ended, however it did."""
        history = [*history, self._note("cancelled", job, span, error)]
        fields: Fields = {"history": write_history(history)}
        self.endings.append(Ending("cancelled", job.id, job.claim, figures, 0, "cancelled", fields))

    def _note(self, kind: str, job: Claimed, span: float, error: str) -> dict[str, Any]:
        """Write the line of a run that has just ended, after `span` seconds, into a history."""
        note = {"kind": kind, "at": self._store_ms(), "worker": self._worker, "token": job.claim}
        return note | {"ran_ms": round(span * 1000)} | ({"error": error} if error else {})

    def _failed(
        self,
        job: Claimed,
        error: BaseException,
        policy: Policy,
        counters: Counters,
        history: list[dict[str, Any]],
        started: float,
        ended: float,
        watch: Watch | None,
    ) -> None:
        if self._copies.here:
            end_copy(error)
        self.costs.note(job.task, ended - started)
        verdict, after = after_error(error, counters, policy, self._random)
        line, trace = describe(error)
        if self._copies.here:  # of the back-off function, or of what makes the error's text
            end_copy(error)
        if watch is not None and watch.seen:
            figures = self._figures(job, text(job.task), started, ended)
            self._cancelled(job, line, history, figures, ended - started)
            return
        if isinstance(verdict, Postpone):
            self._postpone(job, verdict.delay, after.snoozed, line)
            return
        discarded = isinstance(verdict, Bury) and verdict.cause == "discarded"
        entry = self._note("discarded" if discarded else "failed", job, ended - started, line)
        history = noted([*history, entry | {"traceback": trace}], verdict.note)
        fields: Fields = {"failed": after.failed, "error": line}
        if isinstance(verdict, Bury):
            self._bury(job, verdict.cause, line, history, fields, policy)
        else:
            self._retry(job, verdict.delay, "failed", history, fields, verdict.note)

    def _bury(
        self,
        job: Claimed,
        cause: str,
        error: str,
        history: list[dict[str, Any]],
        fields: Fields,
        policy: Policy | None = None,
    ) -> None:
        fields = {**fields, "error": error, "history": write_history(history)}
        own_ms = 0
        if policy is not None and policy.dead_ms != self._queue_policy.dead_ms:
            own_ms = max(1, policy.dead_ms)
        figures = self._figures_unrun(job)
        ending = Ending("dead", job.id, job.claim, figures, own_ms, cause, fields)
        self.endings.append(ending)
        self._tell.dead(job, cause, error)

    def _bury_undecoded(
        self, job: Claimed, error: BaseException, history: list[dict[str, Any]]
    ) -> None:
        """Tell arguments that do not fit the task from bytes that no producer has written."""
        match error:
            case msgspec.ValidationError():
                self._bury(job, "undecodable", writable(f"{error}"), history, {})
            case msgspec.DecodeError() | UnicodeDecodeError() | RecursionError():
                self._bury_corrupt(job, error)
            case _:
                self._bury(job, "undecodable", describe(error)[0], history, {})

    def _bury_corrupt(self, job: Claimed, why: BaseException) -> None:
        """Bury what makes no sense, with nothing that was read from it."""
        error = f"its record cannot be read: {why}"[:MAX_ERROR]
        ending = Ending("dead", job.id, job.claim, _NO_RUN, 0, "corrupt", {"error": error})
        self.endings.append(ending)
        self._tell.dead(job, "corrupt", error)

    def _retry(
        self,
        job: Claimed,
        delay: float,
        cause: str,
        history: list[dict[str, Any]],
        fields: Fields,
        note: str,
    ) -> None:
        fields = {**fields, "history": write_history(history)}
        figures = self._figures_unrun(job)
        self.endings.append(
            Ending("retry", job.id, job.claim, figures, round(delay * 1000), cause, fields)
        )
        self._tell.failed(job, cause, str(fields["error"]), delay, note)

    def _postpone(self, job: Claimed, delay: float, snoozed: int, why: str) -> None:
        fields: Fields = {"snoozed": snoozed, "error": why}
        figures = self._figures_unrun(job)
        self.endings.append(
            Ending("retry", job.id, job.claim, figures, round(delay * 1000), "snoozed", fields)
        )
        self._tell.snoozed(job, why, delay)

    def _park(self, job: Claimed, past: Past) -> None:
        """No worker with this code knows the name: set it aside, another deployment may.

        Raises one of UNREADABLE for what is no name at all.
        """
        name = check_name(job.task.decode(), what="task")
        now = self._store_ms()
        since = now if past.parked is None else past.parked
        line = f"no worker knows the task {name!r}; deploy the code that declares it"
        if now - since >= PARK_LIMIT_MS:
            self._bury(job, "unknown_task", line, [], {})
            return
        self._tell.unknown(name)
        fields: Fields = {"parked": since, "error": line}
        self.endings.append(Ending("retry", job.id, job.claim, _NO_RUN, PARK_MS, "parked", fields))

    def _store_ms(self) -> int:
        """Tell Redis' time, by our clock and the last claim."""
        return round(monotonic() * 1000 + self._store_offset_ms)

    def _figures(self, job: Claimed, task: str, started: float, ended: float) -> str:
        """Spell the run's buckets. Times are ours, brought to Redis' clock by the claim's offset."""
        due = job.at
        if job.more:
            due = int(job.more.get(b"due", due))
        wait = int(started * 1000 + self._store_offset_ms) - due
        return self.figures.of(task, wait, (ended - started) * 1000)

    def _figures_unrun(self, job: Claimed) -> str:
        """Spell the figures of a job that ended without a run worth measuring."""
        # Whatever stands in a stranger's record must not become a field of the tallies.
        known = self._tasks.get(job.task)
        now = monotonic()
        return self._figures(job, known.name if known else "?", now, now)

    def _context(
        self,
        job: Claimed,
        runnable: Runnable,
        policy: Policy,
        counters: Counters,
        deadline: float,
        watch: Watch,
    ) -> Any:
        at = (deadline * 1000 + self._store_offset_ms) / 1000
        return context(
            job_id=text(job.id),
            queue=self._queue,
            task=runnable.name,
            token=job.claim,
            attempt=counters.attempts_used + 1,
            snoozed=counters.snoozed,
            policy=policy,
            enqueued_at=utc(job.at / 1000),
            deadline=utc(at) if deadline else None,
            asks_cancelled=watch,
        )
