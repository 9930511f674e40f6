"""What a producer holds of a job it added."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, Generic, TypeVar, cast

import msgspec

from jobd.broker.views import JobInfo
from jobd.client.producer import Producer
from jobd.core.durations import Duration, seconds
from jobd.core.errors import JobCancelled, JobFailed, ResultGone, ResultTimeout
from jobd.core.options import read_new_due
from jobd.core.states import CANCELLED, COMPLETED, DEAD
from jobd.core.why import Explanation, explain
from jobd.seams.clock import mono

R = TypeVar("R")

_RECHECK = 5.0  # a notice may get lost with a connection; so often the record itself is read


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
        if _inside_a_loop():
            raise RuntimeError(
                "result() blocks the event loop it is called in; expected code outside of one; "
                "write `await handle.aresult()` here"
            )
        end = mono() + (span := seconds(timeout, what="timeout"))
        store = self._producer.store(self.queue)
        with self._producer.notices(self.queue, self.id) as notices:
            store.await_end(self.id, int(span * 1000) + 1000)
            while True:
                done, value = self._look()
                if done:
                    return cast("R", value)
                if (left := end - mono()) <= 0:
                    raise self._late(span)
                notices.wait(min(left, _RECHECK))

    async def aresult(self, timeout: Duration = "30s") -> R:
        """Wait for the job's end without blocking the event loop. Raises as `result` does."""
        end = mono() + (span := seconds(timeout, what="timeout"))
        store = self._producer.store(self.queue)
        async with self._producer.async_notices(self.queue, self.id) as notice:
            await asyncio.to_thread(store.await_end, self.id, int(span * 1000) + 1000)
            while True:
                done, value = await asyncio.to_thread(self._look)
                if done:
                    return cast("R", value)
                if (left := end - mono()) <= 0:
                    raise self._late(span)
                await notice(min(left, _RECHECK))

    def _look(self) -> tuple[bool, Any]:
        state, record = self._producer.views().ending(self.queue, self.id)
        if state == COMPLETED:
            raw = record.get("result")
            return True, None if raw is None else msgspec.json.decode(raw)
        if state == DEAD:
            cause = record.get("cause", b"?").decode()
            error = record["error"].decode("utf-8", "replace") if "error" in record else None
            raise JobFailed(
                f"job {self.id}: dead, cause {cause}" + (f": {error}" if error else ""),
                job_id=self.id,
                cause=cause,
                error=error,
            )
        if state == CANCELLED:
            raise JobCancelled(f"job {self.id}: cancelled", job_id=self.id)
        if state is None:
            raise ResultGone(
                f"job {self.id}: its record is no longer kept; expected to be asked for sooner; "
                "raise `retain` for its queue or task",
                job_id=self.id,
            )
        return False, None

    def _late(self, span: float) -> ResultTimeout:
        return ResultTimeout(
            f"job {self.id}: not finished after {span:g}s; it goes on, ask again later",
            job_id=self.id,
        )


def _inside_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
