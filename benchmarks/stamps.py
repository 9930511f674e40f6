"""The marks that jobs leave in a file outside Redis, seen from the driver.

The writing side is benchmarks/peers/recorder.py (and its twin in bullmq_worker.js): one JSON object
a line, one O_APPEND write each. Marks are named by ``user_id``: -1 the first timed job, -2 the last.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import RunFailed

FIRST = -1
LAST = -2
POLL_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Stamp:
    """One line: which job, its instant (monotonic seconds) and a second figure of its task.

    ``extra`` is, for `timed`, the instant the job was sent; for `nap`, the task time summed so far.
    """

    user_id: int
    at: float
    extra: float


class Stamps:
    """The stamp file of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[Stamp]:
        """All whole lines so far, in the order they were written."""
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="ascii").split("\n")[:-1]
        return [Stamp(*json.loads(line)) for line in lines]

    def find(self, user_id: int) -> Stamp | None:
        """The mark of that job, if it has been left."""
        return next((s for s in self.read() if s.user_id == user_id), None)

    def wait(self, user_id: int, timeout: float, alive: Callable[[], None]) -> Stamp:
        """Wait for a mark.

        Args:
            timeout: seconds.
            alive: called while waiting; raises when the workers have gone.

        Raises:
            RunFailed: the mark did not come in time.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if (mark := self.find(user_id)) is not None:
                return mark
            alive()
            time.sleep(POLL_SECONDS)
        raise RunFailed(f"no mark of job {user_id} within {timeout:.0f} s")

    def wait_count(self, count: int, timeout: float, alive: Callable[[], None]) -> list[Stamp]:
        """Wait until that many marks were left, and return them; raises as `wait`."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if len(marks := self.read()) >= count:
                return marks
            alive()
            time.sleep(10 * POLL_SECONDS)
        raise RunFailed(f"{len(self.read())} of {count} marks within {timeout:.0f} s")
