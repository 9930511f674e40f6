"""The executor `inline`: the main thread runs one job after another."""

from __future__ import annotations

from jobd.seams.stop import Stop
from jobd.worker.desk import Desk
from jobd.worker.lane import Lane


class InlineExecutor:
    """One lane, driven by the thread that also speaks to Redis."""

    def __init__(self, desk: Desk, lane: Lane) -> None:
        self.desk = desk
        self.lane = lane

    def run_all(self, stop: Stop) -> None:
        """Run jobs until there is none, or somebody asks to stop."""
        take, lane = self.desk.unstarted.popleft, self.lane
        try:
            while not stop.asked:
                try:
                    job = lane.running = take()
                except IndexError:
                    return
                lane.run(job)
        finally:
            lane.running = None
