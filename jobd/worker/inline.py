"""The executor `inline`: the main thread runs one job after another."""

from __future__ import annotations

from collections.abc import Callable

from jobd.broker.commands import Claimed
from jobd.seams.stop import Stop
from jobd.worker.desk import Desk
from jobd.worker.lane import Lane


class InlineExecutor:
    """One lane, driven by the thread that also speaks to Redis."""

    def __init__(self, desk: Desk, lane: Lane) -> None:
        self.desk = desk
        self.lane = lane

    def run_all(self, stop: Stop, look: Callable[[Claimed], None] = lambda _job: None) -> None:
        """Run jobs until there is none, or somebody asks to stop.

        `look` is called after a job that was told of: it has done something to this process.
        """
        take, lane, growth = self.desk.unstarted.popleft, self.lane, self.desk.costs.growth
        run = lane.run
        if growth is not None and growth.looks_closely:
            growth.begin()
            run = self._run_closely
        try:
            while True:
                while not stop.attention:
                    try:
                        job = lane.running = take()
                    except IndexError:
                        return
                    run(job)
                if stop.asked:
                    return
                stop.attend()
                if lane.running is not None:
                    look(lane.running)
        finally:
            lane.running = None

    def _run_closely(self, job: Claimed) -> None:
        """Run one, and see what it adds to this process."""
        self.lane.run(job)
        if self.desk.costs.growth is not None:
            self.desk.costs.growth.ran(job.task)
