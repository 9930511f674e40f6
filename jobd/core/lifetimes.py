"""How long a worker lives: how many jobs it runs, how old it becomes. The same number for everybody who asks.

Spread by its name, so that workers that were born together do not go together. Called by the supervisor,
which forks a successor in time, and by the worker, which runs no job more than it may.
"""

from __future__ import annotations

import math
import zlib

SPREAD = 0.1


def most_jobs(jobs: int, worker: str) -> int:
    """Give the number of jobs this worker runs at most: `jobs`, or up to a tenth more."""
    return jobs + round(_share(worker) * (math.floor(jobs * (1 + SPREAD)) - jobs))


def last_jobs(jobs: int, worker: str) -> int:
    """Give the number after which its successor is due, which takes a moment: a tenth before."""
    return math.ceil(most_jobs(jobs, worker) * (1 - SPREAD))


def longest_life(age: float, worker: str) -> float:
    """Give the age in seconds at which it is replaced: within a tenth of `age`."""
    return age * (1 - SPREAD + 2 * SPREAD * _share(worker))


def _share(worker: str) -> float:
    return zlib.crc32(worker.encode()) / 0xFFFF_FFFF
