"""Jobs in memory, for blocks that need no Redis: what a handle may ask of a job, and no more.

It is no imitation of Redis: nothing is claimed here, no time passes, and no order is kept. Whatever
else is asked raises NoRedisHere, so that a test never speaks to a server by mistake.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from jobd.broker.commands import End, QueueCommands
from jobd.broker.connection import Client
from jobd.broker.finding import Finder
from jobd.broker.new_job import NewJob
from jobd.broker.schedules import ScheduleStore
from jobd.broker.store import Store
from jobd.broker.views import Found, Views
from jobd.broker.why import WhyFacts
from jobd.client.app import Jobd
from jobd.core.errors import JobdError, ResultTimeout
from jobd.core.states import (
    CANCELLED,
    COMPLETED,
    DEAD,
    DELAYED,
    TERMINAL,
    WAITING,
)
from jobd.seams.clock import wall_ms
from jobd.testing.added import Added, read_added
from jobd.testing.entries import Entry, Locks, terms_of


class NoRedisHere(JobdError):
    """Something that only a server can answer was asked where there is none."""

    code = "jobd.no_redis_here"


class Memory:
    """Takes the jobs of one app, writes them down, and answers its handles (client/instead.py)."""

    def __init__(self, app: Jobd) -> None:
        self.app = app
        self.added = Added(app)
        self.entries: dict[tuple[str, str], Entry] = {}
        self.locks = Locks()

    def add(self, queue: str, jobs: Sequence[NewJob], *, fresh: bool) -> list[bytes]:
        """Take jobs; a word for each, as the scripts of adding answer."""
        del fresh
        return [self._take(queue, job) for job in jobs]

    async def add_async(self, queue: str, jobs: Sequence[NewJob], *, fresh: bool) -> list[bytes]:
        """Take jobs: memory blocks no event loop."""
        return self.add(queue, jobs, fresh=fresh)

    def _take(self, queue: str, job: NewJob) -> bytes:
        word = self._admit(queue, job)
        self.added.note(read_added(queue, job, word))
        if word in (b"added", b"replaced"):
            self.entries[queue, job.id] = new_entry(job, wall_ms())
            self.locks.take(queue, job, wall_ms())
        return word

    def _admit(self, queue: str, job: NewJob) -> bytes:
        """Say whether a job may come in, as add_once.lua does; who makes way for it ends here."""
        known = self.entries.get((queue, job.id))
        terms = terms_of(job)
        if known and (not terms.nonce or known.state not in TERMINAL):
            return b"duplicate"
        holder = self.locks.holder(queue, job, self.entries, wall_ms())
        if holder is None:
            return b"replaced" if known else b"added"
        if not terms.lock.endswith(" replace") or holder.state not in (WAITING, DELAYED):
            return b"held " + holder.job.id.encode()
        holder.state, holder.score = CANCELLED, wall_ms()
        return b"replaced"

    def line_up(self, queue: str, job_id: str) -> None:
        """Hear of a job that was put back in line: here it stays there."""

    def client(self) -> NoReturn:
        """Say that there is none."""
        raise NoRedisHere(
            "jobd.testing: this asks Redis, and inline() and recorded() have none; expected what a "
            "handle can answer; test it in a jobd.testing.world(app)"
        )

    def store(self, queue: str) -> Store:
        """Give what handles do to jobs."""
        return _MemoryStore(self, queue)

    def schedules(self, queue: str) -> ScheduleStore:
        """Say that nothing is scheduled here."""
        del queue
        self.client()

    def finder(self, queue: str) -> Finder:
        """Say that nothing can be walked."""
        del queue
        self.client()

    def why_facts(self, queue: str) -> WhyFacts:
        """Say that there is no line to stand in."""
        del queue
        self.client()

    def views(self) -> Views:
        """Give what handles read."""
        return _MemoryViews(self)

    def end_of(self, queue: str, job_id: str) -> End:
        """Give a job's end, if it has one: whatever runs here ran when it was added."""
        entry = self.entries.get((queue, job_id))
        if entry is None:
            return End("gone")
        record = entry.record
        if entry.state == COMPLETED:
            return End(COMPLETED, record.get("result"))
        if entry.state == DEAD:
            return End(DEAD, record.get("cause"), record.get("error"))
        if entry.state == CANCELLED:
            return End(CANCELLED)
        raise in_vain(
            job_id,
            entry.state,
            "let it run in jobd.testing.inline(app) or jobd.testing.world(app)",
        )


def in_vain(job_id: str, state: str | None, hint: str) -> ResultTimeout:
    """Say that who waits in a test for what the test itself has to do waits in vain."""
    return ResultTimeout(
        f"job {job_id}: {state}; expected to have ended, for nothing here runs while you wait; {hint}",
        job_id=job_id,
    )


def new_entry(job: NewJob, now: int) -> Entry:
    """Write a job down as the add script does."""
    due, _, until = job.due.partition("x")
    record = {"task": job.task.encode(), "args": job.args, "at": b"%d" % now}
    if job.priority != 5:
        record["priority"] = b"%d" % job.priority
    if job.options:
        record["options"] = job.options
    if until:
        record["expires"] = b"%d" % _instant(until, now)
    due_at = _instant(due, now)
    if due_at > now:
        record["due"] = b"%d" % due_at
    return Entry(job, record, DELAYED if due_at > now else WAITING, due_at)


def _instant(said: str, now: int) -> int:
    if not said:
        return now
    return now + int(said) if said.startswith("+") else int(said)


class _MemoryStore(Store):
    """What handles do to jobs. Its scripts' calls have nobody to go to."""

    def __init__(self, memory: Memory, queue: str) -> None:
        self.commands = QueueCommands("testing", queue)
        self._memory = memory
        self._queue = queue

    @property
    def _client(self) -> Client:  # type: ignore[override]
        self._memory.client()

    def cancel(self, ids: Sequence[str], *, force: bool = False) -> list[str]:
        """Cancel what has not run."""
        del force
        return [self._cancel(job_id) for job_id in ids]

    def reschedule(self, ids: Sequence[str], due: str) -> list[str]:
        """Move what has not run."""
        now = wall_ms()
        for job_id in ids:
            entry = self._entry(job_id)
            if entry and entry.state in (WAITING, DELAYED):
                entry.score = _instant(due, now)
                entry.state = DELAYED if entry.score > now else WAITING
                if entry.state == WAITING:
                    self._memory.line_up(self._queue, job_id)
        return self._states(ids)

    def retry(self, ids: Sequence[str]) -> list[str]:
        """Put back what is dead or cancelled."""
        return [self._retry(job_id) for job_id in ids]

    def delete(self, ids: Sequence[str]) -> list[str]:
        """Forget what has ended."""
        words = []
        for job_id, state in zip(ids, self._states(ids), strict=True):
            if state in TERMINAL:
                del self._memory.entries[self._queue, job_id]
            words.append("deleted" if state in TERMINAL else state)
        return words

    def _entry(self, job_id: str) -> Entry | None:
        return self._memory.entries.get((self._queue, job_id))

    def _states(self, ids: Sequence[str]) -> list[str]:
        return [entry.state if (entry := self._entry(each)) else "gone" for each in ids]

    def _cancel(self, job_id: str) -> str:
        entry = self._entry(job_id)
        if entry is None:
            return "gone"
        if entry.state in (WAITING, DELAYED):
            entry.state, entry.score = CANCELLED, wall_ms()
        return entry.state

    def _retry(self, job_id: str) -> str:
        entry = self._entry(job_id)
        if entry is None or entry.state not in (DEAD, CANCELLED):
            return entry.state if entry else "gone"
        memory, now = self._memory, wall_ms()
        if not terms_of(entry.job).lock.startswith("ttl"):
            if memory.locks.holder(self._queue, entry.job, memory.entries, now):
                return "duplicate"
            memory.locks.take(self._queue, entry.job, now)
        again = new_entry(entry.job._replace(due=""), wall_ms())
        self._memory.entries[self._queue, job_id] = again
        self._memory.line_up(self._queue, job_id)
        return "retried"


class _MemoryViews(Views):
    """What handles read."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    @property
    def _client(self) -> Client:  # type: ignore[override]
        self._memory.client()

    @property
    def _place(self) -> str:  # type: ignore[override]
        self._memory.client()

    def _locate(self, queue: str, job_id: str) -> Found:
        entry = self._memory.entries.get((queue, job_id))
        return Found() if entry is None else Found(entry.state, entry.score, None, entry.record)

    def _fields(self, queue: str, job_id: str, *names: str) -> list[bytes | None]:
        entry = self._memory.entries.get((queue, job_id))
        return [None if entry is None else entry.record.get(name) for name in names]
