"""What a producer holds of a job it added."""

from __future__ import annotations

import asyncio
from typing import Any, Generic, TypeVar, cast

import msgspec

from jobd.broker.notices import Notices, async_notices
from jobd.broker.views import JobInfo
from jobd.client.producer import Producer
from jobd.core.durations import Duration, seconds
from jobd.core.errors import JobCancelled, JobFailed, ResultGone, ResultTimeout
from jobd.core.states import CANCELLED, COMPLETED, DEAD
from jobd.seams.clock import mono

R = TypeVar("R")

_RECHECK = 5.0  # a notice may get lost with a connection; so often the record itself is read


class JobHandle(Generic[R]):
    """A job that was added.

    `outcome` is `enqueued`, or `duplicate` when a job of this id is recorded or ended within the
    last minute: then nothing was added and the handle is that job's.
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
        with Notices(self._producer.client, store.commands.keys, self.id) as notices:
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
        keys = store.commands.keys
        async with async_notices(self._producer.async_client, keys, self.id) as notice:
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
