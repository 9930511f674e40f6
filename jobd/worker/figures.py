"""What a job's run adds to the tallies: buckets of powers of two milliseconds.

Bucket b holds spans below 2^b ms, so finding it is one `bit_length`. Figures travel with the settle
that makes them true, and count only where that settle counts.
"""

from __future__ import annotations

LAST_BUCKET = 24  # 2^24 ms is 4.7 hours: anything longer


class Figures:
    """Spells figures, and sums up a batch."""

    def __init__(self) -> None:
        self._spelled: dict[tuple[str, int, int, int], str] = {}
        self._sums: dict[str, list[float]] = {}
        self._taken: dict[str, list[float]] = {}

    def of(self, task: str, wait_ms: int, run_ms: float) -> str:
        """Spell "task|wait|run|total" for one run, and add to the batch's sums."""
        wait_ms = max(wait_ms, 0)
        whole = int(run_ms)
        key = (
            task,
            min(wait_ms.bit_length(), LAST_BUCKET),
            min(whole.bit_length(), LAST_BUCKET),
            min((wait_ms + whole).bit_length(), LAST_BUCKET),
        )
        spelled = self._spelled.get(key)
        if spelled is None:
            spelled = self._spelled[key] = "|".join(map(str, key))
        sums = self._sums.get(task)
        if sums is None:
            sums = self._sums[task] = [0.0, 0.0]
        sums[0] += wait_ms
        sums[1] += run_ms
        return spelled

    def take_sums(self) -> list[str | int]:
        """Give the sums since the last call: field, amount, ..."""
        flat: list[str | int] = []
        for task, (wait_ms, run_ms) in self._sums.items():
            flat += ["wait_ms|" + task, round(wait_ms), "run_us|" + task, round(run_ms * 1000)]
        self._taken, self._sums = self._sums, {}
        return flat

    def put_back(self) -> None:
        """Take back what the last call gave: its settle found no ear, and is going to be repeated.

        Where it did, and only its answer was lost, the repeat counts nothing, nor these.
        """
        for task, (wait_ms, run_ms) in self._taken.items():
            sums = self._sums.setdefault(task, [0.0, 0.0])
            sums[0] += wait_ms
            sums[1] += run_ms
        self._taken = {}
