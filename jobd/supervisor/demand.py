"""What a queue may have of processes, and what it needs, as data of the fleet.

`Bounds` are what the configuration says; `Waiting` is what the keeper counted last; `Scaling` is how
it stands. Decided upon by jobd.supervisor.scaling.
"""

from __future__ import annotations

import math

import msgspec

from jobd.supervisor.pace import Pace
from jobd.supervisor.scale import Past


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """Between `least` and `most` processes, so that due work is done `within` so many seconds."""

    least: int = 1
    most: int = 1
    within: float = 60.0
    weight: int = 1

    @property
    def elastic(self) -> bool:
        """Whether the load decides."""
        return self.least < self.most


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """What waits in a queue at Redis, as the keeper has counted it; see jobd.broker.backlog."""

    due: int = 0
    oldest: float = 0.0
    paused: bool = False
    limited: bool = False
    hosts: int = 1


class Scaling(msgspec.Struct, frozen=True, kw_only=True):
    """How it stands. `why` is the reason of the last decision."""

    asked: int | None = None  # by hand
    waiting: Waiting = Waiting()
    counted_at: float = -math.inf  # when that was known
    pace: Pace = Pace()
    past: Past = Past()
    why: str = ""
