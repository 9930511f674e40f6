"""Running one claimed job in this process, by the worker's own executor.

Everything that becomes of it is what a worker would make of it: arguments converted, the context
given, the failure judged, the result encoded. Only its ending goes to the caller and not to Redis.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from inspect import iscoroutine
from typing import Any, TypeVar

from jobd.broker.commands import Claim, Claimed, Completed, Ending, Jot
from jobd.client.app import Jobd
from jobd.client.queue import Queue
from jobd.core.events import Event
from jobd.core.job_events import HookFailed
from jobd.core.options import Policy, resolve
from jobd.seams.clock import monotonic
from jobd.seams.scoreboard_page import Page
from jobd.seams.stop import Stop
from jobd.worker.desk import Desk
from jobd.worker.hook_tasks import hook_tasks
from jobd.worker.hooked import hooked
from jobd.worker.inline import InlineExecutor
from jobd.worker.lane import make_lanes
from jobd.worker.notes import Recorder
from jobd.worker.runnable import Runnable

T = TypeVar("T")

WORKER = "testing"
# Nothing is ours to lose here: no other worker is about.
_LEASE = 86_400.0
_NEVER = Stop()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended, what its task raised, if it did, and what it said meanwhile."""

    ending: Completed | Ending
    raised: BaseException | None
    jots: list[Jot]


def policy_of(queue: Queue) -> Policy:
    """Give what holds for a queue by its code; a jobd.toml is not read."""
    return resolve(queue.options)


def run_here(
    app: Jobd,
    queue: Queue,
    job: Claimed,
    *,
    now: int,
    record: Recorder,
    loop: asyncio.AbstractEventLoop | None = None,
) -> Outcome:
    """Run a job to its end. `now` is the store's time in ms; `loop` runs what is async.

    `record` takes the values of its steps (job.once), and gives them.

    Raises what the task raised to end the whole program, such as KeyboardInterrupt.
    """
    policy, name = policy_of(queue), job.task.decode("utf-8", "replace")
    tasks = hook_tasks(app, queue.name, policy)
    if name in queue.tasks:
        tasks[job.task] = Runnable(queue.tasks[name], (queue.options,))
    call = None
    if (runnable := tasks.get(job.task)) is not None:
        call = runnable.function = _Call(runnable.function, loop)
    # One for each job: a task may add another, which runs within it.
    desk = Desk(lease=_LEASE)
    [lane] = make_lanes(
        1,
        desk=desk,
        queue=queue.name,
        tasks=tasks,
        page=_page(queue.name),
        worker=WORKER,
        queue_policy=policy,
        emit=_warn_of_hooks,
        alarms=False,  # whoever runs tests may have a use for SIGALRM
        makers=hooked(app.hooks, queue=queue.name, desk=desk, emit=_warn_of_hooks),
    )
    desk.notes.record = record
    desk.load(Claim(job.claim, now, None, [job]), monotonic())
    InlineExecutor(desk, lane).run_all(_NEVER)
    [ending] = desk.done or desk.endings
    raised = None if call is None else call.raised
    if raised is not None and not isinstance(
        raised, Exception | SystemExit | asyncio.CancelledError
    ):
        raise raised
    jots = [jot for jots in desk.notes.spell() for jot in jots]
    return Outcome(ending, raised, jots)


def _warn_of_hooks(event: Event) -> None:
    """Let a test see what changes nothing about a job; for all else it looks itself."""
    if isinstance(event, HookFailed):
        warnings.warn(f"jobd: hook {event.hook} of {event.on!r}: {event.error}", stacklevel=2)


def _page(queue: str) -> Page:
    page = Page.alone()
    page.hand_out(incarnation=WORKER, queue=queue, slot=WORKER)
    return page


class _Call:
    """A task's function, with an eye on what it raises, and an event loop for what it awaits."""

    def __init__(
        self, function: Callable[..., Any], loop: asyncio.AbstractEventLoop | None
    ) -> None:
        self._function = function
        self._loop = loop
        self.raised: BaseException | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            value = self._function(*args, **kwargs)
            return _finish(value, self._loop) if iscoroutine(value) else value
        except BaseException as error:
            self.raised = error
            raise


async def beside_the_loop(work: Callable[..., T], *args: Any) -> T:
    """Call something that blocks in a thread of its own: it may well add jobs that do so too, and
    any number of threads that are shared would be too few for that."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="jobd-testing")
    try:
        call = partial(copy_context().run, work, *args)
        return await asyncio.get_running_loop().run_in_executor(thread, call)
    finally:
        thread.shutdown(wait=False)


def _finish(work: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop | None) -> Any:
    """Await: on the loop that waits for us, else on one of its own, in a thread where one runs."""
    if loop is not None:
        return asyncio.run_coroutine_threadsafe(work, loop).result()
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
