"""`inline`: each added job runs at once, in this process, before adding returns."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from jobd.broker.commands import Claimed, Completed, Jot
from jobd.broker.new_job import NewJob
from jobd.broker.notes import STEP
from jobd.client.app import Jobd
from jobd.client.hooks import BY_JOBS, TASK_PREFIX
from jobd.client.hooks import DEAD as HOOKED_DEATH
from jobd.client.queue import Queue
from jobd.core.errors import JobFailed, OptionError, UnknownTask
from jobd.core.states import ACTIVE, CANCELLED, COMPLETED, DEAD, DELAYED, WAITING
from jobd.core.suggest import nearest, one_of
from jobd.seams.clock import wall_ms
from jobd.testing.added import Added
from jobd.testing.entries import Entry
from jobd.testing.here import Outcome, beside_the_loop, run_here
from jobd.testing.memory import Memory
from jobd.testing.place import check_app, in_place_of_the_producer
from jobd.worker.notes import Recorder

RAISE, RECORD = FAILURES = ("raise", "record")
_STATES = {
    "done": COMPLETED, "dead": DEAD, "cancelled": CANCELLED, "retry": DELAYED, "throttle": WAITING,
}  # fmt: skip


@contextmanager
def inline(app: Jobd, *, failures: str = "raise") -> Iterator[Added]:
    """Run what is added to an app's queues at once, while the block runs. Needs no Redis.

    A delay is not waited for. What a task raises comes out of the call that added the job, unless
    `failures="record"`: then, as in production, the job is tried again, without waiting, while it has
    attempts, and ends dead. Gives what was added, as `recorded` does. Raises OptionError, TypeError.
    """
    if failures not in FAILURES:
        raise OptionError(
            f"inline: failures={failures!r}; expected {one_of(map(repr, FAILURES))}"
            + nearest(str(failures), FAILURES)
        )
    check_app(app, what="inline")
    memory = _Inline(app, raises=failures == RAISE)
    with in_place_of_the_producer(app, memory):
        yield memory.added


class _Inline(Memory):
    """Runs what it takes. A job that asks to run later, with Snooze, stays delayed."""

    def __init__(self, app: Jobd, *, raises: bool) -> None:
        super().__init__(app)
        self._raises = raises
        self._claims = wall_ms() * 1024  # grows, as a token must

    def add(self, queue: str, jobs: Sequence[NewJob], *, fresh: bool) -> list[bytes]:
        """Take jobs and run each."""
        return self._add(queue, jobs, fresh, None)

    async def add_async(self, queue: str, jobs: Sequence[NewJob], *, fresh: bool) -> list[bytes]:
        """Take jobs and run each: what is async on the caller's loop, what is not in a thread."""
        return await beside_the_loop(self._add, queue, jobs, fresh, asyncio.get_running_loop())

    def _add(
        self,
        queue: str,
        jobs: Sequence[NewJob],
        fresh: bool,
        loop: asyncio.AbstractEventLoop | None,
    ) -> list[bytes]:
        for job in jobs:
            self._refuse_unknown(queue, job.task)
        taken = super().add(queue, jobs, fresh=fresh)
        for job, word in zip(jobs, taken, strict=True):
            if word in (b"added", b"replaced"):
                self._run(queue, job.id, loop)
        return taken

    def line_up(self, queue: str, job_id: str) -> None:
        """Run a job that was put back in line."""
        self._run(queue, job_id, None)

    def _run(self, queue: str, job_id: str, loop: asyncio.AbstractEventLoop | None) -> None:
        entry, declared = self.entries[queue, job_id], self.app.queue(queue)
        while True:
            outcome = self._run_once(declared, entry, loop)
            _settle(entry, outcome)
            failed = _has_failed(outcome)
            if failed and self._raises:
                entry.state = DEAD
            if entry.state == DEAD:
                self._tell_of_death(declared, entry)
            if failed and self._raises:
                raise outcome.raised or _why(queue, entry)
            if not failed or entry.state != DELAYED:
                return

    def _run_once(
        self, queue: Queue, entry: Entry, loop: asyncio.AbstractEventLoop | None
    ) -> Outcome:
        self._claims += 1
        entry.state = ACTIVE
        job, record = entry.job, entry.record
        more = {name.encode(): value for name, value in record.items()}
        claimed = Claimed(
            job.id.encode(), record["task"], record["args"], int(record["at"]), more, self._claims
        )
        return run_here(self.app, queue, claimed, now=wall_ms(), record=_recorder(entry), loop=loop)

    def _tell_of_death(self, queue: Queue, entry: Entry) -> None:
        """Run the job that the scripts add for hooks of deaths. What a hook raises is a failure too."""
        if HOOKED_DEATH not in self.app.hooks.asked(BY_JOBS):
            return
        self._claims += 1
        told = {"job_id": entry.job.id, "task": entry.job.task, "at": wall_ms(), "cause": "failed"}
        told |= {n: entry.record[n].decode() for n in ("cause", "error") if n in entry.record}
        name = (TASK_PREFIX + HOOKED_DEATH).encode()
        claimed = Claimed(
            f"on.{HOOKED_DEATH}".encode(),
            name,
            msgspec.json.encode(told),
            wall_ms(),
            {},
            self._claims,
        )
        outcome = run_here(self.app, queue, claimed, now=wall_ms(), record=_no_steps)
        if outcome.raised is not None and self._raises:
            raise outcome.raised

    def _refuse_unknown(self, queue: str, task: str) -> None:
        known = self.app.queue(queue).tasks
        if task not in known:
            raise UnknownTask(
                f"task {task!r}: not declared on queue {queue!r}; expected {one_of(known) or 'one that is'}, "
                f"for inline() has to run it{nearest(task, known)}; import the module that declares it, or "
                "use recorded() for what another program runs"
            )


def _recorder(entry: Entry) -> Recorder:
    """Keep the values of a job's steps in its record, as the script does."""

    def record(job_id: bytes, claim: int, name: str, value: bytes) -> list[bytes]:
        del job_id, claim
        known = entry.record.get(STEP + name)
        if known is None and value:
            entry.record[STEP + name] = value
            return [b"recorded"]
        return [b"none"] if known is None else [b"known", known]

    return record


def _no_steps(job_id: bytes, claim: int, name: str, value: bytes) -> list[bytes]:
    """Remember nothing: a hook is called once here."""
    del job_id, claim, name
    return [b"recorded"] if value else [b"none"]


def _note(entry: Entry, jots: list[Jot]) -> None:
    for jot in jots:
        entry.record["~log"] = entry.record.get("~log", b"") + b"".join(jot.lines)
        if jot.progress:
            entry.record["~progress"] = jot.progress


def _settle(entry: Entry, outcome: Outcome) -> None:
    """Write an ending down as the settle script does."""
    ending, now = outcome.ending, wall_ms()
    _note(entry, outcome.jots)
    if isinstance(ending, Completed):
        entry.state, entry.score = COMPLETED, now
        if ending.result:
            entry.record["result"] = ending.result
        return
    for name, value in ending.fields.items():
        entry.record[name] = value if isinstance(value, bytes) else str(value).encode()
    entry.state = _STATES[ending.verb]
    entry.score = now + (ending.delay_ms if ending.verb == "retry" else 0)
    if ending.verb == "dead":
        entry.record["cause"] = ending.cause.encode()


def _why(queue: str, entry: Entry) -> JobFailed:
    """Say what no task has raised: arguments that do not fit, a result that is no JSON."""
    cause, error = (entry.record.get(name, b"?").decode() for name in ("cause", "error"))
    what = f"job {entry.job.id}, task {entry.job.task!r} in queue {queue!r}: dead, cause {cause}: {error}"
    return JobFailed(what, job_id=entry.job.id, cause=cause, error=error)


def _has_failed(outcome: Outcome) -> bool:
    """Tell a failure from what was asked for: a snooze, a discard."""
    ending = outcome.ending
    return not isinstance(ending, Completed) and (
        (ending.verb == "retry" and ending.cause != "snoozed")
        or (ending.verb == "dead" and ending.cause != "discarded")
    )
