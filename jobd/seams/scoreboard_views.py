"""What is read off a scoreboard: values, true at the instant of the look."""

from __future__ import annotations

import hashlib
from enum import IntEnum

import msgspec


class Phase(IntEnum):
    """Where a worker is in its life."""

    VACANT = 0
    BOOTING = 1  # forked; not yet joined
    IDLE = 2  # joined, waiting for work
    BUSY = 3  # joined, has claimed jobs
    DRAINING = 4  # told to stop: finishes what runs, claims no more


class CellView(msgspec.Struct, frozen=True):
    """One running job. Times are on CLOCK_MONOTONIC; `deadline` 0.0 means none."""

    job_id: str
    claim: int
    task: str
    started: float
    deadline: float
    index: int = 0
    condemned: bool = False
    """Somebody wants its process to end, whatever it does."""


def mark_of(job_id: str, claim: int) -> int:
    """Give the number that stands for one run."""
    digest = hashlib.blake2b(job_id.encode(), digest_size=8, salt=claim.to_bytes(16))
    return int.from_bytes(digest.digest())


class PageView(msgspec.Struct, frozen=True):
    """One worker, at one look. `claimed` counts jobs claimed, the running ones included; `ran` those
    that were run to an end, and not just judged; `begun` is the last claim of which a job was begun, 0
    for none; `grown` bytes of memory were added by `grown_jobs` jobs of `grown_task`."""

    index: int
    incarnation: str
    queue: str
    slot: str
    phase: Phase
    pid: int
    start_ticks: int
    fenced: bool
    beat: float
    claimed: int
    settled: int
    revoked: int
    cells: tuple[CellView, ...]
    begun: int = 0
    asked: float = 0.0
    ran: int = 0
    grown: int = 0
    grown_jobs: int = 0
    grown_task: str = ""
    count: int = 1
    """How many cells it has, in use or not."""
    reason: int = 0
    """One of jobd.seams.exits.Reason; a number, since a later version may know more of them."""
