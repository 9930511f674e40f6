"""The tasks that call an application's hooks of deaths and losses.

Their jobs are added by the scripts that make a death or a loss true (`tell` in _prelude.lua), for queues
whose workers have said that there is such a hook. What a hook raises is its job's failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from inspect import iscoroutine
from typing import Any

from jobd.client.app import Jobd
from jobd.client.hooks import BY_JOBS, TASK_PREFIX, Hook, JobEvent, name_of
from jobd.client.job import Job
from jobd.client.signature import Spread
from jobd.client.task import Task
from jobd.core.errors import StaleRun
from jobd.core.options import Policy, Retain, RunOptions
from jobd.seams.clock import utc
from jobd.worker.runnable import Runnable

_ATTEMPTS = 10
_TIMEOUT = 300.0


def hook_tasks(app: Jobd, queue: str, policy: Policy) -> dict[bytes, Runnable]:
    """Make the tasks that call an application's hooks of deaths and losses. `policy`: the queue's."""
    options = RunOptions(
        attempts=_ATTEMPTS,
        timeout=_TIMEOUT,
        retain=Retain(completed_ms=policy.completed_ms, dead_ms=policy.dead_ms),
    )
    made = {}
    for event in app.hooks.asked(BY_JOBS):
        name = TASK_PREFIX + event
        deliver = _deliverer(event, queue, app.hooks.of(event))
        task: Task[Any, Any] = Task(
            app.producer, queue, name, deliver, priority=5, options=options, policy=policy
        )
        runnable = made[name.encode()] = Runnable(task, ())
        runnable.decode = _lenient(runnable.decode)
    return made


def _lenient(decode: Spread) -> Spread:
    """Read what the script has put together, too: what a record said may be any bytes."""
    return lambda raw: decode(raw.decode("utf-8", "replace").encode())


def _deliverer(event: str, queue: str, hooks: tuple[Hook, ...]) -> Callable[..., None]:
    """Make the function that calls all hooks of an event; what one raises is the job's failure."""

    def deliver(
        job: Job,
        job_id: str,
        task: str,
        at: int,
        cause: str,
        error: str | None = None,
    ) -> None:
        told = JobEvent(
            event=event,
            id=job_id,
            queue=queue,
            task=task,
            at=utc(at / 1000),
            cause=cause,
            error=error,
        )
        if len(hooks) == 1:
            _run(hooks[0], told)
            return
        failures = []
        for number, hook in enumerate(hooks):
            # One that went well is not called again because another did not.
            try:
                job.once(f"{number}.{name_of(hook)}", _run, hook, told)
            except StaleRun:
                raise
            except Exception as failure:  # noqa: BLE001  the others are called all the same
                failures.append(failure)
        if failures:
            raise failures[0] if len(failures) == 1 else ExceptionGroup("hooks", failures)

    return deliver


def _run(hook: Hook, event: JobEvent) -> None:
    made = hook(event)
    if iscoroutine(made):
        _run_here(made)


def _run_here(work: Coroutine[Any, Any, Any]) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work)
        return
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()
