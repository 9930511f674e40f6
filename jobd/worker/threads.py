"""The executor `threads`: each lane has a thread, and all pull from one line of jobs.

A thread that finds the line empty parks on a lock of its own; `feed` lets as many go as there are
jobs. No future and no queue object per job. Threads are made when they are first needed.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextvars import copy_context

from jobd.seams.bell import Bell
from jobd.seams.surroundings import restore_mask
from jobd.worker.desk import Desk
from jobd.worker.lane import Lane
from jobd.worker.whose import LANE


class ThreadExecutor:
    """Runs jobs in up to as many threads as it has lanes."""

    is_lost = False
    descriptors: tuple[int, ...] = ()

    def __init__(self, desk: Desk, lanes: list[Lane]) -> None:
        self.desk = desk
        self.lanes = lanes
        self.bell = Bell()
        self._threads = 0
        self._parked: deque[threading.Lock] = deque()
        self._ended = False

    def run(self, talk: Callable[[], None]) -> None:
        """Run jobs until `talk` has ended. This thread talks: signals come to it."""
        try:
            talk()
        finally:
            self._ended = True
            while self._parked:
                self._parked.popleft().release()

    def feed(self) -> None:
        """Let a thread go for each job in the line, as far as there are lanes."""
        for _ in range(len(self.desk.unstarted)):
            try:
                self._parked.popleft().release()
            except IndexError:
                if self._threads == len(self.lanes):
                    return
                self._make_thread(self.lanes[self._threads])

    def when_quiet(self, look: Callable[[], bool]) -> Callable[[], bool]:
        """The thread that talks is the one that feeds, and the main one: it may look by itself."""
        return look

    def heeds(self) -> bool:
        """Threads take by themselves."""
        return True

    def _make_thread(self, lane: Lane) -> None:
        self._threads += 1
        name = f"jobd-lane-{self._threads}"
        threading.Thread(target=self._work, args=(lane,), name=name, daemon=True).start()

    def _work(self, lane: Lane) -> None:
        take, ring = self.desk.unstarted.popleft, self.bell.ring
        gate = threading.Lock()
        gate.acquire()
        LANE.set(lane)
        while not self._ended:
            try:
                job = lane.running = take()
            except IndexError:
                restore_mask()
                self._park(gate)
                continue
            # A context of its own: what one job sets there, the next does not see.
            copy_context().run(lane.run, job)
            lane.running = None
            ring()

    def _park(self, gate: threading.Lock) -> None:
        self._parked.append(gate)
        if self.desk.unstarted or self._ended:
            # It came between the two lines above. Somebody may have let us go by now, then the lock
            # is to be taken all the same, or it would be open at the next time.
            try:
                self._parked.remove(gate)
            except ValueError:
                pass
            else:
                return
        gate.acquire()
