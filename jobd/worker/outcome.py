"""What becomes of one job: its ending, the line in its history, and the one in the log.

Every executor's lanes report here. Until an ending is written the job answers for the process: the
text of an error and a back-off function are the application's code too.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec

from jobd.broker.commands import Claimed, Ending
from jobd.core.errors import SoftTimeout, StaleRun
from jobd.core.events import Event
from jobd.core.names import check_name
from jobd.core.options import Policy
from jobd.core.ran import spell
from jobd.core.states import PARKED
from jobd.core.verdict import Bury, Counters, Postpone, RetryLater, after_error
from jobd.seams.clock import monotonic
from jobd.seams.host import Copies
from jobd.seams.hostname import host_name
from jobd.worker.copy import end_copy
from jobd.worker.desk import Desk
from jobd.worker.put_off import put_off
from jobd.worker.record import MAX_ERROR, Past, describe, noted, writable, write_history
from jobd.worker.runnable import Runnable
from jobd.worker.take import take_all
from jobd.worker.tell import Teller
from jobd.worker.watch import Watch

Fields = dict[str, str | bytes | int]

# The figures of what was no run of a known task: its outcome counts, no histogram does.
_NO_RUN = "?|||"

PARK_MS = 15_000
PARK_LIMIT_MS = 3_600_000
# The cause of an ending that is no run: see jobd.core.verdict.before_start.
PUT_OFF = "put_off"

UNTOUCHED = Counters()
NO_HISTORY: list[dict[str, Any]] = []


class Run:
    """One run, as the lane that does it knows it. Filled anew for each job."""

    __slots__ = ("counters", "history", "job", "policy", "runnable", "started", "watch")

    job: Claimed
    runnable: Runnable
    policy: Policy
    counters: Counters
    history: list[dict[str, Any]]
    started: float
    """On our monotonic clock."""
    watch: Watch | None


class Outcomes:
    """Makes the endings of one worker's jobs."""

    def __init__(
        self,
        *,
        desk: Desk,
        tasks: dict[bytes, Runnable],
        worker: str,
        queue_policy: Policy,
        emit: Callable[[Event], None],
    ) -> None:
        self.queue_policy = queue_policy
        self.copies = Copies()
        # Our own: an application that seeds `random` would draw the same jitter for all its jobs.
        self.random = random.Random().random
        self._desk = desk
        self._tasks = tasks
        self._worker = worker
        self._host = host_name()
        self._tell = Teller(emit)

    def spell_run(self, run: Run, ended: float) -> bytes:
        """Write the line of a run that ended well."""
        return spell(ended - run.started, run.job.claim, self._worker, self._host)

    def done_at_length(self, run: Run, figures: str, result: bytes, ended: float) -> None:
        """Record a success that has a past, or is kept otherwise than its queue's."""
        own_ms = 0
        if run.policy.completed_ms != self.queue_policy.completed_ms:
            own_ms = max(1, run.policy.completed_ms)  # 0 would mean the queue's
        fields: Fields = {"ran": self.spell_run(run, ended)}
        fields |= {"result": result} if result else {}
        fields |= {"history": write_history(run.history)} if run.history else {}
        self._end(Ending("done", run.job.id, run.job.claim, figures, own_ms, "", fields))

    def cancelled(self, run: Run, error: str, figures: str, ended: float) -> None:
        """Record a run that was told of its cancellation, and then ended, however it did."""
        history = [*run.history, self._note("cancelled", run, ended, error)]
        fields: Fields = {"history": write_history(history)}
        self._end(Ending("cancelled", run.job.id, run.job.claim, figures, 0, "cancelled", fields))

    def failed(self, run: Run, error: BaseException, ended: float) -> None:
        """Judge a run that raised, and record what follows from it."""
        job, copies = run.job, self.copies
        if copies.here:
            end_copy(error)
        self._desk.costs.note(job.task, ended - run.started)
        if isinstance(error, StaleRun):
            return  # the job is another's, or over: it is neither failed nor ours to tell of
        verdict, after = after_error(error, run.counters, run.policy, self.random)
        line, trace = describe(error)
        if copies.here:  # of the back-off function, or of what makes the error's text
            end_copy(error)
        figures = self.figures(job, run.runnable.name, run.started, ended)
        if run.watch is not None and run.watch.seen:
            self.cancelled(run, line, figures, ended)
            return
        if isinstance(verdict, Postpone):
            self._put_off(job, verdict, after, line, figures)
            return
        entry = self._note(_kind(error, verdict), run, ended, line)
        history = noted([*run.history, entry | {"traceback": trace}], verdict.note)
        fields: Fields = {"failed": after.failed, "error": line}
        if isinstance(verdict, Bury):
            self.bury(job, verdict.cause, line, history, fields, run.policy, figures=figures)
        else:
            self.retry(job, verdict, "failed", history, fields, figures)

    def bury(
        self,
        job: Claimed,
        cause: str,
        error: str,
        history: list[dict[str, Any]],
        fields: Fields | None = None,
        policy: Policy | None = None,
        *,
        figures: str = "",
    ) -> None:
        """Record a death. `policy`: what the call says of how long the dead are kept, if it ran, and
        `figures` what its run is counted with."""
        fields = {**(fields or {}), "error": error, "history": write_history(history)}
        own_ms = 0
        if policy is not None and policy.dead_ms != self.queue_policy.dead_ms:
            own_ms = max(1, policy.dead_ms)
        figures = figures or self._figures_unrun(job)
        self._end(Ending("dead", job.id, job.claim, figures, own_ms, cause, fields))
        self._tell.dead(job, cause, error)

    def bury_undecoded(
        self, job: Claimed, error: BaseException, history: list[dict[str, Any]]
    ) -> None:
        """Tell arguments that do not fit the task from bytes that no producer has written."""
        match error:
            case msgspec.ValidationError():
                self.bury(job, "undecodable", writable(f"{error}"), history)
            case msgspec.DecodeError() | UnicodeDecodeError() | RecursionError():
                self.bury_corrupt(job, error)
            case _:
                self.bury(job, "undecodable", describe(error)[0], history)

    def bury_corrupt(self, job: Claimed, why: BaseException) -> None:
        """Bury what makes no sense, with nothing that was read from it."""
        error = f"its record cannot be read: {why}"[:MAX_ERROR]
        self._end(Ending("dead", job.id, job.claim, _NO_RUN, 0, "corrupt", {"error": error}))
        self._tell.dead(job, "corrupt", error)

    def retry(
        self,
        job: Claimed,
        verdict: RetryLater,
        cause: str,
        history: list[dict[str, Any]],
        fields: Fields,
        figures: str,
    ) -> None:
        """Record a failed attempt that is followed by another."""
        fields = {**fields, "history": write_history(history)}
        figures, delay_ms = figures or self._figures_unrun(job), round(verdict.delay * 1000)
        self._end(Ending("retry", job.id, job.claim, figures, delay_ms, cause, fields))
        # Who is put off for a crash has a note of ours; else it is of the application's back-off function.
        unusable = "" if cause == PUT_OFF else verdict.note
        self._tell.failed(job, cause, str(fields["error"]), verdict.delay, unusable)

    def park(self, job: Claimed, past: Past) -> None:
        """No worker with this code knows the name: set it aside, another deployment may.

        Raises one of UNREADABLE for what is no name at all.
        """
        name = check_name(job.task.decode(), what="task")
        now = self._desk.store_ms()
        since = now if past.parked is None else past.parked
        line = f"{PARKED} {name!r}; deploy the code that declares it"
        if now - since >= PARK_LIMIT_MS:
            self.bury(job, "unknown_task", line, [])
            return
        self._tell.unknown(name)
        fields: Fields = {"parked": since, "error": line}
        self._end(Ending("retry", job.id, job.claim, _NO_RUN, PARK_MS, "parked", fields))

    def figures(self, job: Claimed, task: str, started: float, ended: float) -> str:
        """Spell the run's buckets. Times are ours, brought to Redis' clock by the claim's offset."""
        due = job.at
        if job.more:
            due = int(job.more.get(b"due", due))
        wait = int(started * 1000 + self._desk.store_offset_ms) - due
        return self._desk.figures.of(task, wait, (ended - started) * 1000)

    def timed_out(self, job: Claimed, task: str, timeout: float) -> str:
        """Spell the figures of a run that its timeout has ended: it ran that long, and ended just now."""
        now = monotonic()
        return self.figures(job, task, now - timeout, now)

    def _put_off(
        self, job: Claimed, verdict: Postpone, after: Counters, why: str, figures: str
    ) -> None:
        self._end(put_off(job, verdict, after, why, figures))
        if verdict.whole_queue:  # what stands behind it would be refused as well
            self._desk.revoked.extend(take_all(self._desk.unstarted))
        self._tell.put_off(job, why, verdict)

    def _note(self, kind: str, run: Run, ended: float, error: str) -> dict[str, Any]:
        """Write the line of a run that has just ended into a history."""
        at, ran_ms = self._desk.store_ms(), round((ended - run.started) * 1000)
        where = {"worker": self._worker, "host": self._host}
        note = {"kind": kind, "at": at, **where, "token": run.job.claim}
        return note | {"ran_ms": ran_ms} | ({"error": error} if error else {})

    def _figures_unrun(self, job: Claimed) -> str:
        """Spell the figures of a job that ended without a run."""
        # Whatever stands in a stranger's record must not become a field of the tallies.
        known = self._tasks.get(job.task)
        return f"{known.name}|||" if known else _NO_RUN

    def _end(self, ending: Ending) -> None:
        self._desk.end(ending)


def _kind(error: BaseException, verdict: RetryLater | Bury) -> str:
    """Say in a word of the history how a run ended that raised."""
    if isinstance(verdict, Bury) and verdict.cause == "discarded":
        return "discarded"
    return "soft_timeout" if isinstance(error, SoftTimeout) else "failed"
