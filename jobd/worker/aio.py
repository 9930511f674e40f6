"""The executor `asyncio`: async tasks on one event loop in the main thread, sync ones in threads beside it.

Each job is an asyncio task with a context of its own. The talk with Redis has its own thread: a socket
that waits, a connection that is made again, a look at what is held never hold the event loop up, and a
task that holds it up does not keep its neighbours' endings from Redis.
"""

from __future__ import annotations

import asyncio
import errno
import select
import selectors
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from functools import partial
from queue import SimpleQueue

from jobd.broker.commands import Claimed
from jobd.seams.bell import Bell
from jobd.seams.host import Copies
from jobd.seams.surroundings import restore_mask
from jobd.worker.copy import end_copy
from jobd.worker.desk import Desk
from jobd.worker.lane import Lane
from jobd.worker.whose import LANE

# The highest descriptor that select takes, and one more.
_SELECTABLE = 1024
# What epoll says where a task has closed it, or something else has its number by now.
_CLOSED = (errno.EBADF, errno.EINVAL)


class AsyncExecutor:
    """Runs as many jobs at once as it has lanes, whichever kind each of them is."""

    def __init__(self, desk: Desk, lanes: list[Lane]) -> None:
        self.desk = desk
        self.lanes = lanes
        self.bell = Bell()
        self._free = lanes[::-1]
        self._contexts = {lane: _context_of(lane) for lane in lanes}
        self._tasks: dict[Lane, asyncio.Task[None]] = {}  # the loop itself holds them weakly
        self._sync: SimpleQueue[tuple[Lane, Claimed] | None] = SimpleQueue()
        self._threads = 0
        self._busy_threads = 0
        selector = _PunctualSelector(Copies(self._in_copy))
        self._loop = asyncio.SelectorEventLoop(selector)
        # For what tasks give to `asyncio.to_thread`; made by it are as many threads as are needed.
        self._helpers = ThreadPoolExecutor(max(32, len(lanes)), thread_name_prefix="jobd-helper")
        self._loop.set_default_executor(self._helpers)
        self.descriptors = (selector.fileno(),)
        self._look: Callable[[], bool] = lambda: True
        self._takes = True
        self._raised: BaseException | None = None
        self._lost: OSError | None = None
        self._has_ended = False
        self._fed = 0
        self._looked = 0

    def run(self, talk: Callable[[], None]) -> None:
        """Run jobs until `talk` has ended. This thread runs the event loop: signals come to it."""
        asyncio.set_event_loop(self._loop)
        thread = threading.Thread(target=self._talk, args=(talk,), name="jobd-talk", daemon=True)
        self._loop.call_soon(thread.start)
        while not self._has_ended and self._lost is None:  # a task may have stopped the loop
            self._run_forever()
        thread.join()
        if self._lost is not None:
            self._give_up(self._lost)
            return
        for _ in range(self._threads):
            self._sync.put(None)
        if self._raised is None:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._helpers.shutdown(wait=False, cancel_futures=True)
        self._loop.close()
        if self._raised is not None:
            raise self._raised

    def _run_forever(self) -> None:
        try:
            self._loop.run_forever()
        except OSError as error:
            if error.errno not in _CLOSED:
                raise
            self._lost = error
            self._look()

    def _give_up(self, lost: OSError) -> None:
        """End without the loop: what has ended is settled. What still ran has this process' end
        charged to it, or a task that does so would begin again for ever."""
        if self._raised is not None:
            raise self._raised
        if any(lane.running is not None for lane in self.lanes):
            raise lost

    @property
    def is_lost(self) -> bool:
        """Whether the event loop has ended for good."""
        return self._lost is not None

    def when_quiet(self, look: Callable[[], bool]) -> Callable[[], bool]:
        """The loop looks, where the last lane becomes free: it is the one that feeds."""
        self._look = look
        return lambda: True

    def feed(self) -> None:
        """Put the jobs on the desk into free lanes."""
        self._fed += 1
        self._loop.call_soon_threadsafe(self._fill)

    def heeds(self) -> bool:
        """Whether the event loop has looked at the desk since it was fed: nothing holds it up."""
        return self._looked == self._fed

    def _talk(self, talk: Callable[[], None]) -> None:
        try:
            talk()
        except BaseException as error:  # noqa: BLE001  raised again by the thread that waits for it
            self._raised = error
        finally:
            self._loop.call_soon_threadsafe(self._end)

    # --- on the event loop ---

    def _end(self) -> None:
        self._has_ended = True
        self._loop.stop()

    def _fill(self) -> None:
        self._looked = self._fed
        while self._free and self._begin(self._free[-1]):
            self._free.pop()

    def _begin(self, lane: Lane) -> bool:
        """Start the next job of the line in a lane, if there is one, and this process is to go on."""
        lane.running = None
        if not self._takes:
            return False
        try:
            job = lane.running = self.desk.unstarted.popleft()
        except IndexError:
            return False
        if lane.is_async(job):
            self._start(lane, job)
        else:
            self._to_thread(lane, job)
        return True

    def _start(self, lane: Lane, job: Claimed) -> None:
        task = self._loop.create_task(self._work(lane, job), context=self._contexts[lane].copy())
        task.add_done_callback(partial(self._ended, lane, job))
        self._tasks[lane] = task

    def _ended(self, lane: Lane, job: Claimed, task: asyncio.Task[None]) -> None:
        """Begin a job whose asyncio task somebody cancelled before its first step: a neighbour that
        cancels all it finds. From then on a lane catches that, and it is the job's own failure."""
        if task.cancelled():
            self._start(lane, job)

    async def _work(self, lane: Lane, job: Claimed) -> None:
        await lane.run_async(job)
        self._next(lane)

    def _next(self, lane: Lane) -> None:
        """Give a lane whose job has ended the next one, or have it wait."""
        if not self._begin(lane):
            self._free.append(lane)
        self.bell.ring()
        if len(self._free) == len(self.lanes):
            self._takes = self._look()

    def _in_copy(self) -> None:
        """Have a child that a task forks run none of its neighbours: they run here."""
        for handle in tuple(getattr(self._loop, "_ready", ())):
            handle.cancel()

    # --- sync tasks ---

    def _to_thread(self, lane: Lane, job: Claimed) -> None:
        self._busy_threads += 1
        if self._busy_threads > self._threads:
            self._threads += 1
            name = f"jobd-lane-{self._threads}"
            threading.Thread(target=self._run_sync, name=name, daemon=True).start()
        self._sync.put((lane, job))

    def _run_sync(self) -> None:
        while (given := self._sync.get()) is not None:
            lane, job = given
            restore_mask()
            self._contexts[lane].copy().run(lane.run, job)
            self._loop.call_soon_threadsafe(self._thread_ended, lane)

    def _thread_ended(self, lane: Lane) -> None:
        self._busy_threads -= 1
        self._next(lane)


def _context_of(lane: Lane) -> Context:
    context = copy_context()
    context.run(LANE.set, lane)
    return context


class _PunctualSelector(selectors.EpollSelector):
    """Wakes at the very time a timer is due.

    epoll itself counts in whole milliseconds, and up: a pause of 10 ms would take 10.5 on average.
    """

    def __init__(self, copies: Copies) -> None:
        super().__init__()
        self._copies = copies
        self._selectable = self.fileno() < _SELECTABLE

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self._copies.here:
            # A wait here would take what comes for the worker.
            end_copy(RuntimeError("a child that an async task forked waits; it may only return"))
        if timeout is not None and timeout > 0 and self._selectable:
            select.select((self.fileno(),), (), (), timeout)
            timeout = 0
        return super().select(timeout)
