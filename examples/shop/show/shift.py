"""The time in which the jobs run: shows progress, tells of what runs again, causes the accident."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping

from examples.shop.files import Tail, lines_of
from examples.shop.producer import ALL_ADDED
from examples.shop.settings import settings
from examples.shop.show.accident import Accident, strike
from examples.shop.show.breaks import broke
from examples.shop.show.runs import Run, Runs
from examples.shop.show.screen import QUEUES, Screen, span
from examples.shop.show.stage import Stage, StageError
from examples.shop.till import LEDGER

GRACE = 10.0  # seconds in which the producer writes down what has not ended
MOST_TOLD = 12  # repeats worth a line on the screen
_LOOK_EVERY = 0.02
_SHOW_EVERY = 0.1


class Shift:
    """Watches the jobs from the first to the last. Its `accident` is None until it happened."""

    def __init__(self, stage: Stage, screen: Screen, plan: Mapping[str, int]) -> None:
        self.accident: Accident | None = None
        self._stage = stage
        self._screen = screen
        self._plan = plan
        self._runs = Runs()
        self._all_added = False
        self._told = 0

    def work(self, until: float) -> None:
        """Watch until the producer has seen the end of its jobs, or its time is up.

        Raises StageError.
        """
        shown_at = 0.0
        with Tail(settings().effects) as self._effects:
            while not self._stage.producer_is_done():
                self._hear()
                if self.accident is None:
                    self._perhaps_strike()
                if (now := time.monotonic()) > until + GRACE:
                    raise StageError("producer: does not say how its jobs ended, see producer.log")
                if now - shown_at > _SHOW_EVERY:
                    shown_at = now
                    self._show()
                time.sleep(_LOOK_EVERY)
            self._hear()

    def _hear(self) -> None:
        for run in self._runs.add(self._effects.new()):
            self._tell_of_repeat(run)

    def _perhaps_strike(self) -> None:
        """In the middle of the pictures; or of whatever still runs, when fewer came than planned."""
        if not self._all_added and self._runs.finished["images"] < self._plan["images"] / 3:
            return
        queues = QUEUES if self._all_added else ("images",)
        self.accident = strike(self._stage.daemon_pid, queues, self._runs, self._hear)
        if self.accident is not None:
            worker, pid, task = self.accident.worker, self.accident.pid, self.accident.task
            self._screen.say(f"SIGKILL to {worker} (pid {pid}) in the middle of {task}")

    def _tell_of_repeat(self, run: Run) -> None:
        runs = self._runs.by_job[run.job]
        if len(runs) < 2 or self._told == MOST_TOLD:
            return
        self._told += 1
        at, event = broke(runs[-2], self.accident)
        self._screen.say(f"{run.task} runs again, {span(run.started_at - at)} after {event}")

    def _show(self) -> None:
        here = settings().folder
        if not self._all_added and (here / ALL_ADDED).exists():
            self._all_added = True
            self._tell_of_closing(Counter(job["queue"] for job in lines_of(here / LEDGER)))
        self._screen.update(self._runs.finished, self._plan)

    def _tell_of_closing(self, added: Mapping[str, int]) -> None:
        jobs, wanted = sum(added.values()), sum(self._plan.values())
        self._plan = added
        if jobs == wanted:
            self._screen.say(f"producer: all {jobs:,} jobs added, now waits for the last")
        else:
            self._screen.say(
                f"producer: closing time after {jobs:,} of {wanted:,} jobs, "
                "as many as this machine could do"
            )
