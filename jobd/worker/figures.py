"""What a job's run adds to the tallies: buckets of powers of two milliseconds.

Bucket b holds spans below 2^b ms, so finding it is one `bit_length`. Figures travel with the settle
that makes them true, and count only where that settle counts.
"""

from __future__ import annotations

import threading

from jobd.core.tally import LAST_BUCKET

_WAIT_AND_TOTAL = 1 << 16 | 1


class TaskFigures:
    """One task's: the figures spelled so far, and the sums of the batch."""

    __slots__ = ("name", "run_ms", "spelled", "wait_ms")

    def __init__(self, name: str) -> None:
        self.name = name
        self.spelled: dict[int, str] = {}
        self.wait_ms = 0
        self.run_ms = 0.0

    def spell(self, key: int) -> str:
        """Spell "task|wait|run|total" for three buckets packed in one number, once."""
        buckets = (min(key >> shift & 0xFF, LAST_BUCKET) for shift in (16, 8, 0))
        spelled = self.spelled[key] = "|".join((self.name, *map(str, buckets)))
        return spelled


class Figures:
    """Spells figures, and sums up a batch. Used by the thread that runs the jobs."""

    def __init__(self) -> None:
        self._tasks: dict[str, TaskFigures] = {}

    def of(self, task: str, wait_ms: int, run_ms: float) -> str:
        """Spell "task|wait|run|total" for one run, and add to the batch's sums."""
        mine = self._tasks.get(task)
        if mine is None:
            mine = self._tasks[task] = TaskFigures(task)
        if wait_ms < 0:  # noqa: PLR1730  once a job, as in costs
            wait_ms = 0
        mine.wait_ms += wait_ms
        mine.run_ms += run_ms
        if run_ms < 1.0:  # as a rule: it adds nothing to the total
            key = wait_ms.bit_length() * _WAIT_AND_TOTAL
        else:
            ran = int(run_ms)
            key = wait_ms.bit_length() << 16 | ran.bit_length() << 8 | (wait_ms + ran).bit_length()
        return mine.spelled.get(key) or mine.spell(key)

    def take_sums(self) -> list[str | int]:
        """Give the sums since the last call: field, amount, ..."""
        flat: list[str | int] = []
        for mine in self._tasks.values():
            if mine.wait_ms or mine.run_ms:
                flat += ["wait_ms|" + mine.name, mine.wait_ms]
                flat += ["run_us|" + mine.name, round(mine.run_ms * 1000)]
                mine.wait_ms, mine.run_ms = 0, 0.0
        return flat

    def put_back(self, flat: list[str | int]) -> None:
        """Add sums that were taken and not settled: they go with the next settle."""
        for field, amount in zip(flat[::2], flat[1::2], strict=True):
            kind, _, task = str(field).partition("|")
            mine = self._tasks[task]
            if kind == "wait_ms":
                mine.wait_ms += int(amount)
            else:
                mine.run_ms += int(amount) / 1000


class SharedFigures(Figures):
    """The same where jobs run in several threads."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def of(self, task: str, wait_ms: int, run_ms: float) -> str:
        with self._lock:
            return super().of(task, wait_ms, run_ms)

    def take_sums(self) -> list[str | int]:
        with self._lock:
            return super().take_sums()

    def put_back(self, flat: list[str | int]) -> None:
        with self._lock:
            super().put_back(flat)
