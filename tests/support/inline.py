"""The inline worker in a thread of the test's process, on a real server."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from jobd import Jobd, Queue
from jobd.broker.connection import connect
from jobd.core.errors import Fenced
from jobd.core.events import Event
from jobd.core.limits import resolve_limits
from jobd.core.options import resolve
from jobd.seams.scoreboard import Owner, Scoreboard
from jobd.seams.scoreboard_page import Page
from jobd.seams.stop import Stop
from jobd.worker.assemble import assemble
from jobd.worker.hook_tasks import hook_tasks
from jobd.worker.pristine import Pristine
from jobd.worker.runnable import Runnable


def new_page(directory: Path, cells: int = 1) -> Page:
    """Make a scoreboard of this process; give its first page."""
    owner = Owner("nonce", os.getpid(), 1, "boot")
    return Scoreboard.create(directory / "board", owner=owner, pages=2, cells=cells).pages[0]


class Running:
    """A worker in a thread of this process."""

    def __init__(
        self,
        app: Jobd,
        queue: Queue,
        page: Page,
        incarnation: str = "w.1",
        concurrency: int = 1,
        *,
        pristine: bool = False,
    ) -> None:
        """With `pristine` this process is the worker's own: run the loop in its main thread."""
        page.hand_out(
            incarnation=incarnation, queue=queue.name, slot=f"{queue.name}.1", cells=concurrency
        )
        policy = resolve(queue.options)
        self.stop = Stop()
        self.said: list[str] = []
        self.events: list[Event] = []
        self.pristine = Pristine(page=page, stop=self.stop, emit=self._emit) if pristine else None
        self.error: Exception | None = None
        self.loop = assemble(
            client=connect(app.producer.url),
            namespace="jobd",
            queue=queue.name,
            tasks={name.encode(): Runnable(t, (queue.options,)) for name, t in queue.tasks.items()}
            | hook_tasks(app, queue.name, policy),
            policy=policy,
            limits=resolve_limits(queue.limits),
            hooks=app.hooks,
            concurrency=concurrency,
            incarnation=incarnation,
            slot="q.1",
            lease=30.0,
            page=page,
            stop=self.stop,
            emit=self._emit,
            pristine=self.pristine,
        )
        self.desk = self.loop.desk
        self.executor = self.loop.executor
        self.thread = threading.Thread(target=self._run)

    def _emit(self, event: Event) -> None:
        self.said.append(event.event)
        self.events.append(event)

    def _run(self) -> None:
        try:
            self.loop.run()
        except Fenced as error:
            self.error = error


@contextmanager
def working(
    app: Jobd, queue: Queue, page: Page, incarnation: str = "w.1", concurrency: int = 1
) -> Iterator[Running]:
    running = Running(app, queue, page, incarnation, concurrency)
    running.thread.start()
    try:
        yield running
    finally:
        running.stop.ask()
        running.thread.join(30)
        assert not running.thread.is_alive()


def in_state(app: Jobd, state: str, count: int, queue: str = "q") -> Callable[[], bool]:
    return lambda: app.producer.views().counts(queue)[state] == count
