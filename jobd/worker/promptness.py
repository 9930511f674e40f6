"""Until when a claimed job may start, where its queue has a rate limit.

Redis counts claims; what people count is starts. A window in Redis is longer than it was said to be
by `within`, so starts obey as long as none comes later after its claim than another by more. How
late the claim itself is known is bounded by our own clock alone: it was carried out after it was
sent. The way to Redis and back, at its quickest, is the same for all and does not count; without it
nothing would ever start where the way is long.
"""

from __future__ import annotations

import math

_FORGETS = 1.05  # a claim: a way that became longer for good is known as such a few dozen later


class Promptness:
    """One connection's quickest way."""

    def __init__(self) -> None:
        self._quickest = math.inf

    def note(self, seconds: float) -> None:
        """Take in how long an answer took."""
        self._quickest = min(self._quickest * _FORGETS, seconds)

    def start_by(self, sent_at: float, within_ms: int | None, wait_ms: int = 0) -> float | None:
        """Give the last instant for a start of what was claimed by a call sent then, to start
        `wait_ms` after that claim; None: any."""
        if within_ms is None:
            return None
        way = self._quickest if math.isfinite(self._quickest) else 0.0
        return sent_at + way + (wait_ms + within_ms) / 1000
