"""The worker process: what all workers of an application share, and each one from fork to end.

What is made before the fork is one copy for all workers; what is made after it is private memory,
times the number of workers. So the preloader calls `Workshop(...)`, and the forked child its `run`.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 - Python's resolver loads it for its first address: not once a worker
from collections.abc import Callable
from dataclasses import dataclass

from jobd.broker.connection import connect
from jobd.client.app import Jobd
from jobd.client.queue import Queue
from jobd.core.config import Config
from jobd.core.errors import ConfigError, Fenced, OptionError
from jobd.core.limits import Limits, read_limits, resolve_limits
from jobd.core.options import Policy, RunOptions, check_timeouts, read_run_options, resolve
from jobd.seams import host, stacks
from jobd.seams.exits import FENCED, NOT_ADOPTED, RECYCLED
from jobd.seams.log import Emit, Log
from jobd.seams.scoreboard_page import Page
from jobd.seams.stop import Stop
from jobd.worker.assemble import assemble
from jobd.worker.hook_tasks import hook_tasks
from jobd.worker.loop import WorkerLoop
from jobd.worker.output import Output
from jobd.worker.preload import Order
from jobd.worker.pristine import Pristine
from jobd.worker.runnable import Runnable


@dataclass(frozen=True, slots=True)
class _Bench:
    """One queue's tasks, ready to run."""

    tasks: dict[bytes, Runnable]
    policy: Policy
    limits: Limits


def run_levels(config: Config, declared: Queue) -> tuple[RunOptions, RunOptions]:
    """Give what code and file say of a queue's jobs, the weaker first."""
    settings = config.queues.get(declared.name)
    said = settings.options if settings else {}
    return declared.options, read_run_options(said, what=f"queues.{declared.name}")


def runnables(config: Config, declared: Queue) -> dict[bytes, Runnable]:
    """Make a queue's tasks ready to run.

    Raises ConfigError for what code and file say together, and neither alone.
    """
    levels = run_levels(config, declared)
    tasks = {name.encode(): Runnable(task, levels) for name, task in declared.tasks.items()}
    for task in tasks.values():
        soft, hard = task.policy.soft_timeout, task.policy.timeout
        try:
            check_timeouts(soft, hard, what=f"task {task.name!r}")
        except OptionError as error:
            raise ConfigError(
                f"queues.{declared.name}: {error}; the code sets one of the two, this file the other"
            ) from error
    return tasks


class Workshop:
    """Built once for an application, with no connection open; inherited by every worker."""

    def __init__(self, config: Config, app: Jobd, *, output: Output, log_fd: int) -> None:
        """`output` takes what tasks print, `log_fd` is the stream it and all else goes to."""
        self._config = config
        self._app = app
        self._output = output
        self._log_fd = log_fd
        app.producer.rebind(config.redis.url, config.redis.namespace)
        self._client = connect(config.redis.url)
        self._benches = {name: self._bench(name) for name in app.queues}

    def _bench(self, queue: str) -> _Bench:
        declared = self._app.queue(queue)
        settings = self._config.queues.get(queue)
        tasks = runnables(self._config, declared)
        policy = resolve(*run_levels(self._config, declared))
        said = read_limits(settings.limits if settings else {}, what=f"queues.{queue}")
        limits = resolve_limits(declared.limits, said)
        return _Bench(tasks | hook_tasks(self._app, queue, policy), policy, limits)

    def run(self, order: Order, page: Page, is_ours: Callable[[], bool]) -> int:
        """Serve one queue until asked to stop; give the exit status. Called in the child.

        `is_ours`: see jobd.worker.preload.
        """
        stop = Stop()
        stop.listen()
        log = self._config.daemon.log
        emit = Log(
            style=log.format,
            level=log.level,
            role="worker",
            fd=self._log_fd,
            bound={"slot": order.slot},
        )
        self._output.adopt(order.slot, emit)
        host.become_subreaper()  # what jobs leave behind stays below this process
        pristine = Pristine(page=page, stop=stop, emit=emit, afterwards=stacks.rearm)
        pristine.guard(*emit.descriptors)
        loop = self._loop(order, page, stop, emit, pristine)
        try:
            if not is_ours():
                return NOT_ADOPTED
            pristine.start()  # after it is tied to the supervisor's life, which is to stay so
            loop.run()
        except Fenced:
            page.set_fenced()
            return FENCED
        finally:
            self._output.end()
        return RECYCLED if pristine.reason else 0

    def _loop(
        self, order: Order, page: Page, stop: Stop, emit: Emit, pristine: Pristine
    ) -> WorkerLoop:
        config = self._config
        bench = self._benches.get(order.queue) or self._bench(order.queue)
        return assemble(
            client=self._client,
            namespace=config.redis.namespace,
            queue=order.queue,
            tasks=bench.tasks,
            policy=bench.policy,
            limits=bench.limits,
            hooks=self._app.hooks,
            concurrency=page.cells,
            incarnation=order.incarnation,
            slot=order.slot,
            lease=config.daemon.lease,
            page=page,
            stop=stop,
            emit=emit,
            pristine=pristine,
            max_jobs=config.queues[order.queue].max_jobs if order.queue in config.queues else 0,
            output=self._output,
        )
