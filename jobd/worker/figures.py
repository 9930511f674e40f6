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
        self._sums: dict[str, float] = {}

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
        sums = self._sums
        sums["wait_ms|" + task] = sums.get("wait_ms|" + task, 0) + wait_ms
        sums["run_us|" + task] = sums.get("run_us|" + task, 0) + run_ms * 1000
        return spelled

    def take_sums(self) -> list[str | int]:
        """Give the sums since the last call: field, amount, ..."""
        flat: list[str | int] = [
            part for field, amount in self._sums.items() for part in (field, round(amount))
        ]
        self._sums.clear()
        return flat
