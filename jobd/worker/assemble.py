"""Putting a worker together: which executor serves a queue, and how many lanes it has.

any async task           asyncio   async tasks on one event loop, sync ones in threads beside it
concurrency above 1      threads   that many threads
else                     inline    the main thread
"""

from __future__ import annotations

from collections.abc import Callable

from jobd.broker.connection import Client
from jobd.client.hooks import BY_JOBS, Hooks
from jobd.core.events import Event
from jobd.core.limits import Limits
from jobd.core.options import Policy
from jobd.seams.scoreboard_page import Page
from jobd.seams.stop import Stop
from jobd.worker.aio import AsyncExecutor
from jobd.worker.crew import CrewLoop
from jobd.worker.desk import Desk
from jobd.worker.growth import Growth
from jobd.worker.hooked import hooked
from jobd.worker.inline import InlineExecutor
from jobd.worker.lane import make_lanes
from jobd.worker.loop import WorkerLoop
from jobd.worker.output import Output
from jobd.worker.pristine import Pristine
from jobd.worker.runnable import Runnable
from jobd.worker.solo import SoloLoop
from jobd.worker.threads import ThreadExecutor


def assemble(
    *,
    client: Client,
    namespace: str,
    queue: str,
    tasks: dict[bytes, Runnable],
    policy: Policy,
    limits: Limits,
    hooks: Hooks,
    concurrency: int,
    incarnation: str,
    slot: str,
    lease: float,
    page: Page,
    stop: Stop,
    emit: Callable[[Event], None],
    pristine: Pristine | None = None,
    max_jobs: int = 0,
    output: Output | None = None,
) -> WorkerLoop:
    """Make the worker of one incarnation. `policy` is the queue's own."""
    on_loop = any(task.is_async for task in tasks.values())
    crew = on_loop or concurrency > 1
    desk = Desk(lease=lease, shared=crew)
    desk.costs.growth = Growth(page)
    lanes = make_lanes(
        concurrency,
        desk=desk,
        queue=queue,
        tasks=tasks,
        page=page,
        worker=slot,
        queue_policy=policy,
        emit=emit,
        makers=hooked(hooks, queue=queue, desk=desk, emit=emit),
    )
    if output is not None:
        output.whose.lanes = lanes
    settings = {
        "client": client,
        "namespace": namespace,
        "queue": queue,
        "incarnation": incarnation,
        "lease": lease,
        "policy": policy,
        "limits": limits,
        "hooks": hooks.asked(BY_JOBS),
        "page": page,
        "stop": stop,
        "emit": emit,
        "pristine": pristine,
        "max_jobs": max_jobs,
        "sweep": _nothing if output is None else output.sweep,
    }
    if not crew:
        return SoloLoop(InlineExecutor(desk, lanes[0]), **settings)
    executor = AsyncExecutor(desk, lanes) if on_loop else ThreadExecutor(desk, lanes)
    return CrewLoop(executor, **settings)


def _nothing() -> None:
    """Do nothing between jobs: whoever runs this worker prints for itself."""
