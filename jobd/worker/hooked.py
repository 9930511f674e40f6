"""Calling an application's hooks of runs: from the lanes, where somebody asked.

A worker whose application has no hooks of runs has plain lanes, and nothing here is called. What a
hook raises is told and changes nothing about its job; but while it runs the job answers for what
becomes of the process, so a hook that hangs or crashes is found out as a task would be.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from inspect import iscoroutine
from typing import Any

from jobd.broker.commands import Claimed, Completed
from jobd.client.hooks import (
    COMPLETED,
    FAILED,
    IN_THE_WORKER,
    STARTED,
    TASK_PREFIX,
    Hook,
    Hooks,
    JobEvent,
    name_of,
)
from jobd.core.events import Event
from jobd.core.job_events import HookFailed
from jobd.core.options import Policy
from jobd.core.verdict import RetryLater
from jobd.seams.clock import monotonic, utc
from jobd.seams.host import Copies
from jobd.worker.copy import end_copy
from jobd.worker.desk import Desk
from jobd.worker.lane import Call, Lane, Makers
from jobd.worker.outcome import Fields, Outcomes, Run
from jobd.worker.record import describe
from jobd.worker.tell import MAX_LOGGED, text

_OURS = TASK_PREFIX.encode()
# A run that ended so has failed; what is dead otherwise did not run, or was not to.
_FAILURES = ("failed", "timeout", "unencodable")


class Caller:
    """Calls the hooks of runs, for one worker."""

    def __init__(
        self, hooks: Hooks, *, queue: str, desk: Desk, emit: Callable[[Event], None]
    ) -> None:
        self._hooks = {event: hooks.of(event) for event in IN_THE_WORKER}
        self._queue = queue
        self._desk = desk
        self._emit = emit
        self._copies = Copies()
        self._pending: set[asyncio.Task[Any]] = set()

    def call(self, event: str, job: Claimed, **facts: Any) -> None:
        """Call an event's hooks, one after another."""
        if not self._hooks[event] or job.task.startswith(_OURS):
            return
        told = JobEvent(
            event=event,
            id=text(job.id),
            queue=self._queue,
            task=text(job.task),
            at=utc(self._desk.store_ms() / 1000),
            token=job.claim,
            **facts,
        )
        for hook in self._hooks[event]:
            self._call(hook, told)

    def _call(self, hook: Hook, event: JobEvent) -> None:
        try:
            made = hook(event)
            if iscoroutine(made):
                self._finish(made, hook, event)
        except BaseException as error:  # noqa: BLE001  user code: it is told, and the job goes on
            self._tell(hook, event, error)
        if self._copies.here:
            end_copy(None)

    def _finish(self, work: Coroutine[Any, Any, Any], hook: Hook, event: JobEvent) -> None:
        """Let an async hook run: here and now, or beside the tasks of the loop that runs here."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            asyncio.run(work)
            return
        task = loop.create_task(work)
        self._pending.add(task)

        def ended(task: asyncio.Task[Any]) -> None:
            self._pending.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                self._tell(hook, event, error)

        task.add_done_callback(ended)

    def _tell(self, hook: Hook, event: JobEvent, error: BaseException) -> None:
        line = describe(error)[0][:MAX_LOGGED]
        name, job, token = name_of(hook), event.id, event.token
        self._emit(HookFailed(hook=name, on=event.event, job=job, token=token, error=line))


class HookedOutcomes(Outcomes):
    """Tells of what ends in any other way than well and at once."""

    def __init__(self, caller: Caller, **rest: Any) -> None:
        super().__init__(**rest)
        self._caller = caller

    def done_at_length(self, run: Run, figures: str, result: bytes, ended: float) -> None:
        """Record a success, and tell of it."""
        _tell_completed(self._caller, run)
        super().done_at_length(run, figures, result, ended)

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
        """Record a death; where a run failed, tell of that: the death is told by the store."""
        if cause in _FAILURES:
            self._tell_failed(job, cause, error, history, None)
        super().bury(job, cause, error, history, fields, policy, figures=figures)

    def retry(
        self,
        job: Claimed,
        verdict: RetryLater,
        cause: str,
        history: list[dict[str, Any]],
        fields: Fields,
        figures: str,
    ) -> None:
        """Record a failed attempt, and tell of it."""
        if cause in _FAILURES:
            self._tell_failed(job, cause, str(fields["error"]), history, verdict.delay)
        super().retry(job, verdict, cause, history, fields, figures)

    def _tell_failed(
        self,
        job: Claimed,
        cause: str,
        error: str,
        history: list[dict[str, Any]],
        retry_in: float | None,
    ) -> None:
        last = history[-1] if history and cause == "failed" else {}
        ran_ms = last.get("ran_ms")
        self._caller.call(
            FAILED,
            job,
            # A timeout was counted when the process was ended, anything else is not counted yet.
            attempt=_used(job) + (cause != "timeout"),
            duration=ran_ms / 1000 if isinstance(ran_ms, int) else None,
            cause=cause,
            error=error,
            retry_in=retry_in,
        )


class HookedLane(Lane):
    """A lane that tells of its runs' beginnings and good ends."""

    __slots__ = ("_caller",)

    def __init__(self, cell: int, caller: Caller, **rest: Any) -> None:
        super().__init__(cell, **rest)
        self._caller = caller
        self._done = _Told(self, caller, self._done)

    def begin(self, job: Claimed) -> Call | None:
        """Make all ready, and tell of it."""
        call = super().begin(job)
        if call is not None:
            self._caller.call(STARTED, job, attempt=self.counters.attempts_used + 1)
        return call


class _Told(deque[Completed]):
    """Stands for the line of what ended well, and tells of it before it gets there."""

    def __init__(self, run: Run, caller: Caller, line: deque[Completed]) -> None:
        super().__init__()
        self._run = run
        self._caller = caller
        self._line = line

    def append(self, done: Completed) -> None:
        """Tell, then pass on."""
        _tell_completed(self._caller, self._run)
        self._line.append(done)


def _tell_completed(caller: Caller, run: Run) -> None:
    caller.call(
        COMPLETED,
        run.job,
        attempt=run.counters.attempts_used + 1,
        duration=monotonic() - run.started,
    )


def _used(job: Claimed) -> int:
    return int(job.more.get(b"failed", 0)) + int(job.more.get(b"timeouts", 0))


def hooked(hooks: Hooks, *, queue: str, desk: Desk, emit: Callable[[Event], None]) -> Makers:
    """Say what lanes are made of: others than plain ones where somebody wants to hear of runs."""
    if not hooks.asked(IN_THE_WORKER):
        return Makers()
    caller = Caller(hooks, queue=queue, desk=desk, emit=emit)
    return Makers(
        outcomes=partial(HookedOutcomes, caller),
        lane=lambda cell, **rest: HookedLane(cell, caller, **rest),
    )
