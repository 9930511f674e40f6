"""The worker process, from its fork to its end. Called by the preloader in the forked child."""

from __future__ import annotations

import os

from jobd.broker.connection import connect
from jobd.client.app import Jobd
from jobd.core.config import Config
from jobd.core.errors import Fenced
from jobd.core.options import read_run_options, resolve
from jobd.seams.exits import FENCED
from jobd.seams.host import start_ticks
from jobd.seams.log import Log
from jobd.seams.scoreboard import Page
from jobd.seams.stop import Stop
from jobd.worker.inline import InlineExecutor
from jobd.worker.loop import WorkerLoop
from jobd.worker.runnable import Runnable


def run(
    config: Config,
    app: object,
    *,
    queue: str,
    slot: str,
    incarnation: str,
    page: Page,
    supervisor_pid: int,
) -> int:
    """Serve one queue until asked to stop; give the exit status."""
    del supervisor_pid  # its death is this process' death: the preloader has seen to that
    assert isinstance(app, Jobd)
    stop = Stop()
    stop.listen()
    page.adopt(pid=os.getpid(), start_ticks=start_ticks(os.getpid()))
    app.producer.rebind(config.redis.url, config.redis.namespace)
    declared = app.queue(queue)
    settings = config.queues.get(queue)
    levels = (
        declared.options,
        read_run_options(settings.options if settings else {}, what=f"queues.{queue}"),
    )
    policy = resolve(*levels)
    log = Log(
        style=config.daemon.log.format,
        level=config.daemon.log.level,
        role="worker",
        bound={"slot": slot},
    )
    executor = InlineExecutor(
        queue=queue,
        tasks={name.encode(): Runnable(task, levels) for name, task in declared.tasks.items()},
        page=page,
        worker=slot,
        queue_policy=policy,
    )
    loop = WorkerLoop(
        client=connect(config.redis.url),
        namespace=config.redis.namespace,
        queue=queue,
        incarnation=incarnation,
        lease=config.daemon.lease,
        keep=policy.completed_count,
        executor=executor,
        page=page,
        stop=stop,
        emit=log,
    )
    try:
        loop.run()
    except Fenced:
        page.set_fenced()
        return FENCED
    return 0
