"""What a producer holds of a job it added."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Generic, TypeVar, cast

import msgspec

from jobd.broker.commands import WAITS, End
from jobd.broker.notes import JobProgress
from jobd.broker.views import JobInfo
from jobd.client.loops import refuse_in_a_loop
from jobd.client.producer import Producer
from jobd.core.durations import Duration, seconds
from jobd.core.errors import JobCancelled, JobFailed, ResultGone, ResultTimeout
from jobd.core.options import read_new_due
from jobd.core.states import CANCELLED, COMPLETED, DEAD
from jobd.core.why import Explanation, explain

R = TypeVar("R")


class JobHandle(Generic[R]):
    """A job that was added.

    `outcome` is `enqueued`, or `duplicate`: nothing was added and the handle is that of the job in
    the way, which holds the lock (`unique`), or has the same id, recorded or ended within the last
    minute. `replaced`: this job was added, and took the place of one. It is `known` for a handle
    that `Queue.job` gave: nobody asked whether there is such a job.
    """

    __slots__ = ("_producer", "id", "outcome", "queue")

    def __init__(self, producer: Producer, queue: str, job_id: str, outcome: str) -> None:
        self._producer = producer
        self.queue = queue
        self.id = job_id
        self.outcome = outcome

    def __repr__(self) -> str:
        return f"<JobHandle {self.id} in {self.queue}: {self.outcome}>"

    def state(self) -> str | None:
        """Name the job's state, or None when its record is no longer kept."""
        return self._producer.views().state(self.queue, self.id)

    def info(self) -> JobInfo | None:
        """Read everything recorded about the job, or None."""
        return self._producer.views().info(self.queue, self.id)

    def progress(self) -> JobProgress | None:
        """Read what the job last said of its progress, or None. Cheap: one small read."""
        return self._producer.views().progress(self.queue, self.id)

    def why(self) -> Explanation | None:
        """Say why the job has not run, and when it will, or how it ended; None when it is gone.

        What `jobd why` prints. Printing it does the same; its reasons have words for programs.
        """
        asked = self._producer.why_facts(self.queue).read(self.id)
        return None if asked is None else explain(asked.job, asked.queue)

    def cancel(self, *, force: bool = False) -> str:
        """Cancel the job; say what became of it.

        `cancelled`: it will not run. `asked`: it runs, and `job.cancelled` tells it so within a
        second; it never runs again. With `force` its process is ended, whatever it does.
        `completed`, `dead`, `gone`: too late, nothing was changed.
        """
        return self._producer.store(self.queue).cancel([self.id], force=force)[0]

    def reschedule(
        self, delay: Duration | None = None, *, run_after: datetime | None = None
    ) -> str:
        """Give a job that waits another due time; say in which state it is now.

        `delayed`, or `waiting` when it is due at once. Any other state says that nothing was
        changed: `active` runs already. Raises OptionError.
        """
        due = read_new_due(delay, run_after, what=f"job {self.id}")
        return self._producer.store(self.queue).reschedule([self.id], due)[0]

    def run_now(self) -> str:
        """Let a delayed job run as soon as a worker is free. Answers as `reschedule` does."""
        return self.reschedule(0)

    def retry(self) -> str:
        """Put a dead or cancelled job back in line; its attempts start anew.

        `retried`. `duplicate`: another job holds its lock (`unique`). Any other word is the state
        that it is in. Only the first says that something was changed.
        """
        return self._producer.store(self.queue).retry([self.id])[0]

    def delete(self) -> str:
        """Remove the record of a job that has ended.

        `deleted`; any other word is the state that it is in, and nothing was changed.
        """
        return self._producer.store(self.queue).delete([self.id])[0]

    def result(self, timeout: Duration = "30s") -> R:
        """Wait for the job's end and give its result (plain JSON values).

        Raises JobFailed, JobCancelled, ResultGone, ResultTimeout; RuntimeError inside an event
        loop, which it would block.
        """
        refuse_in_a_loop("result()", "handle.aresult()")
        span = seconds(timeout, what="timeout")
        return self._value(self._producer.end_of(self.queue, self.id, span), span)

    async def aresult(self, timeout: Duration = "30s") -> R:
        """Wait for the job's end without blocking the event loop. Raises as `result` does.

        All that wait on one event loop share one subscription.
        """
        span = seconds(timeout, what="timeout")
        end = await self._producer.end_of_async(self.queue, self.id, span)
        return self._value(end, span)

    async def astate(self) -> str | None:
        """Name the job's state, as `state` does."""
        return await asyncio.to_thread(self.state)

    async def ainfo(self) -> JobInfo | None:
        """Read everything recorded, as `info` does."""
        return await asyncio.to_thread(self.info)

    async def aprogress(self) -> JobProgress | None:
        """Read the job's progress, as `progress` does."""
        return await asyncio.to_thread(self.progress)

    async def acancel(self, *, force: bool = False) -> str:
        """Cancel the job, as `cancel` does."""
        return await asyncio.to_thread(self.cancel, force=force)

    async def areschedule(
        self, delay: Duration | None = None, *, run_after: datetime | None = None
    ) -> str:
        """Move the job, as `reschedule` does."""
        return await asyncio.to_thread(self.reschedule, delay, run_after=run_after)

    async def arun_now(self) -> str:
        """Let a delayed job run, as `run_now` does."""
        return await asyncio.to_thread(self.run_now)

    async def aretry(self) -> str:
        """Put the job back in line, as `retry` does."""
        return await asyncio.to_thread(self.retry)

    async def adelete(self) -> str:
        """Remove the job's record, as `delete` does."""
        return await asyncio.to_thread(self.delete)

    def _value(self, end: End, span: float) -> R:
        """Give the result, or raise what kept us from having one."""
        if end.state == COMPLETED:
            return cast("R", None if end.value is None else msgspec.json.decode(end.value))
        if end.state == DEAD:
            cause = _text(end.value) or "?"
            error = _text(end.error)
            raise JobFailed(
                f"job {self.id}: dead, cause {cause}" + (f": {error}" if error else ""),
                job_id=self.id,
                cause=cause,
                error=error,
            )
        if end.state == CANCELLED:
            raise JobCancelled(f"job {self.id}: cancelled", job_id=self.id)
        if end.state == WAITS:
            raise ResultTimeout(
                f"job {self.id}: not finished after {span:g}s; it goes on, ask again later",
                job_id=self.id,
            )
        raise ResultGone(
            f"job {self.id}: its record is no longer kept; expected to be asked for sooner; "
            "raise `retain` for its queue or task",
            job_id=self.id,
        )


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode("utf-8", "replace")
