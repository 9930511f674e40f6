"""The preloader: imports the application once, freezes it, and forks workers on order.

Invariant: each order is answered once, by `forked` or `refused`, before the next is read. It forks
twice: the middle process ends, so the supervisor adopts the worker, waits for it itself and loses
nothing when the preloader dies. What all workers need is prepared before the first fork, so that it
is in memory once. Built by jobd.wiring.preloader; the child runs what it is given.
"""

from __future__ import annotations

import gc
import os
import select
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import msgspec

from jobd.client.app import Jobd
from jobd.core.errors import EX_CONFIG, ConfigError, HostError
from jobd.core.events import AppHasThreads, AppIgnoresChildren
from jobd.seams import clock, host, hugepages, stacks, stdio
from jobd.seams.exits import NOT_ADOPTED
from jobd.seams.lines import Lines
from jobd.seams.log import Emit, paragraph
from jobd.seams.scoreboard import Scoreboard
from jobd.seams.scoreboard_page import Page
from jobd.worker.app import code_fingerprint, load_app

# The middle process ends at once; what takes longer is a supervisor that is not there any more.
_ADOPTED_WITHIN = 10.0


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One worker to fork. With `output` a descriptor has come along, to be its 1 and 2."""

    incarnation: str
    page: int
    queue: str
    slot: str
    output: bool = False


class _Message(msgspec.Struct):
    fork: Order | None = None


# Runs a worker in the forked child, and gives its exit code. The third waits until this process is the
# supervisor's, and says whether it is: nothing may be claimed before.
Run = Callable[[Order, Page, Callable[[], bool]], int]
# Makes, from the application, what its workers share: before the fork, so that they do share it.
Prepare = Callable[[Jobd], Run]


class Preloader:
    """Takes orders from one channel until it closes."""

    def __init__(
        self,
        *,
        channel: Lines,
        reference: str,
        preload: bool,
        runtime_dir: Path,
        prepare: Prepare,
        emit: Emit,
    ) -> None:
        """With `preload` false nothing is imported here: each worker does it for itself."""
        self._channel = channel
        self._reference = reference
        self._preload = preload
        self._runtime_dir = runtime_dir
        self._prepare = prepare
        self._emit = emit
        self._run: Run | None = None
        self._board: Scoreboard | None = None
        self._supervisor = os.getppid()

    def serve(self) -> int:
        """Load, then fork until the supervisor closes the channel. Gives the exit code."""
        try:
            self._load()
        except ConfigError as failure:
            self._say({"failed": str(failure)})
            return EX_CONFIG
        except KeyboardInterrupt:
            self._say({"failed": f"app: {self._reference!r} does not load: it was interrupted"})
            return EX_CONFIG
        while not self._channel.closed:
            select.select([self._channel], [self._channel] if self._channel.pending() else [], [])
            self._channel.flush()
            for message in self._channel.receive():
                order = msgspec.convert(message, _Message).fork
                if order is not None:
                    self._fork(order)
        return 0

    def _load(self) -> None:
        queues: list[str] = []
        code = ""
        if self._preload:
            app = self._loaded()
            queues = sorted(app.queues)
            self._run = self._prepare(app)
            code = code_fingerprint()
        threads = host.thread_count()
        if threads > 1:
            self._emit(AppHasThreads(app=self._reference, threads=threads))
        # What lives now lives in every worker: collecting it would only copy the pages it is on.
        gc.collect()
        gc.freeze()
        if self._preload:
            hugepages.collapse()
        declared = {name: {} for name in queues}  # type: dict[str, object]
        self._say({"ready": {"queues": declared, "threads": threads, "code": code}})

    def _loaded(self) -> Jobd:
        """Import the application; whoever ignores the ends of children would lose how they end."""
        app = load_app(self._reference)
        if host.mind_children():
            self._emit(AppIgnoresChildren(app=self._reference))
        return app

    def _say(self, message: dict[str, object]) -> None:
        self._channel.send(message)
        while self._channel.pending() and not self._channel.closed:
            select.select([], [self._channel], [])
            self._channel.flush()

    def _fork(self, order: Order) -> None:
        fds = self._channel.fds
        output = fds.popleft() if order.output and fds else None
        try:
            self._fork_with(order, output)
        finally:
            if output is not None:
                os.close(output)

    def _fork_with(self, order: Order, output: int | None) -> None:
        try:
            page = self._page(order)
            reader, writer = os.pipe()
        except (OSError, ValueError) as refused:
            self._refuse(order, str(refused))
            return
        try:
            middle = host.fork_anyway()
        except OSError as refused:
            os.close(reader)
            os.close(writer)
            self._refuse(order, str(refused))
            return
        if middle == 0:
            os.close(reader)
            self._middle(order, page, output, writer)
        os.close(writer)
        with open(reader, "rb") as pipe:  # noqa: PTH123 - a descriptor
            answer = pipe.read().decode("utf-8", "replace")
        host.wait_for(middle)
        self._answer(order, answer)

    def _page(self, order: Order) -> Page:
        if self._board is None:
            nonce = order.incarnation.partition(".")[0]
            self._board = Scoreboard.open(self._runtime_dir / f"scoreboard.{nonce}")
        return self._board.pages[order.page]

    def _answer(self, order: Order, answer: str) -> None:
        if answer.isdigit():
            self._say({"forked": {"incarnation": order.incarnation, "pid": int(answer)}})
        else:
            self._refuse(order, answer or "the middle process ended without an answer")

    def _refuse(self, order: Order, why: str) -> None:
        self._say({"refused": {"incarnation": order.incarnation, "why": why}})

    def _middle(self, order: Order, page: Page, output: int | None, writer: int) -> None:
        """Fork the worker and end; or go on, as the worker.

        The worker is on its page before it can be the supervisor's child: one that is not is none.
        """
        middle = os.getpid()
        try:
            worker = host.fork_anyway()
        except OSError as refused:
            os.write(writer, f"{refused}".encode())
            os._exit(1)
        if worker:
            if _is_for(page, order, pid=0):
                page.adopt(pid=worker, start_ticks=host.start_ticks(worker))
            os.write(writer, str(worker).encode())
            os._exit(0)
        os.close(writer)
        self._become_worker(order, page, output, middle)

    def _become_worker(self, order: Order, page: Page, output: int | None, middle: int) -> None:
        code = 70
        try:
            if output is not None:
                stdio.redirect(output)
            code = self._work(order, page, middle)
        except SystemExit as asked:
            code = asked.code if isinstance(asked.code, int) else 1
        except (ConfigError, HostError) as failure:
            paragraph(str(failure))
            code = failure.exit_code
        except BaseException:  # noqa: BLE001 - the child of a fork must never return to its caller
            traceback.print_exc()
        finally:
            _flush()
            os._exit(code)

    def _work(self, order: Order, page: Page, middle: int) -> int:
        # A session of its own: a terminal's ^C is for the supervisor, and what a job leaves running
        # can be told by it. Only the channel is closed: what else is open, the application opened,
        # and its objects would later close those numbers under somebody else.
        os.setsid()
        self._channel.close()

        def is_ours() -> bool:
            # Or given up in the meantime, and released: it may not act.
            tied = adopted(self._supervisor, middle)
            return tied and _is_for(page, order, pid=os.getpid())

        stacks.arm()
        run = self._run
        if run is None:
            if not is_ours():
                return NOT_ADOPTED
            run = self._prepare(self._loaded())
        # The end of the middle process takes its time: what can be made ready meanwhile is.
        return run(order, page, is_ours)


def _is_for(page: Page, order: Order, *, pid: int) -> bool:
    """Say whether the order stands: whoever gave it up may have handed the page to another."""
    view = page.view()
    return view is not None and (view.incarnation, view.pid) == (order.incarnation, pid)


def adopted(supervisor: int, middle: int) -> bool:
    """Wait until the supervisor is the parent, then tie this process' life to it.

    False when anybody but the supervisor follows the middle process: then it is not there any more.
    """
    give_up_at = clock.mono() + _ADOPTED_WITHIN
    while (parent := os.getppid()) != supervisor:
        if parent != middle or clock.mono() > give_up_at:
            return False
        clock.pause(0.0002)
    return host.die_with_parent(supervisor)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue  # closed by the application, or its reader is gone: nothing is left to save
