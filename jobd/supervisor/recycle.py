"""Which workers are to be replaced for their age, their jobs, or their memory.

Laws: of a queue one at a time goes for its age or its jobs, and only while all others are there; one that
is over its memory limit goes at once. Age and jobs are spread (jobd.core.lifetimes), so that those who
were born together do not go together. Who is over the limit as soon as it has joined says that the
limit is below what the application takes: each next one of that slot is left alone for longer, so that
a wrong number never makes a storm of forks. Pure; called by settle.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from jobd.core.lifetimes import last_jobs, longest_life
from jobd.supervisor import backoff
from jobd.supervisor.memory import Limits, Weight

# Over the limit so soon after it has joined: not by its jobs, unless these are few and large.
AT_ONCE = 1.0
_FIRST_WAIT = 1.0
_LONGEST_WAIT = 600.0


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """A worker that has joined and fills its slot. `swells`: of that slot, how many in a row were over
    the memory limit at once."""

    name: str
    slot: str
    joined_at: float
    ran: int
    weight: Weight = Weight()
    swells: int = 0


def choose(
    limits: Limits, workers: Sequence[Worker], now: float, *, is_whole: bool
) -> list[tuple[str, str]]:
    """Name those of a queue that are to be replaced now, and why.

    `is_whole`: every slot of the queue has a worker that has joined.
    """
    chosen = [
        (worker.name, "memory_limit")
        for worker in workers
        if worker.weight.over_since is not None and now >= may_go_at(worker)
    ]
    if chosen or not is_whole:
        return chosen
    late = [(*_overdue(limits, worker, now), worker.slot, worker.name) for worker in workers]
    by, why, _, name = max(late, default=(0.0, "", "", ""))
    return [(name, why)] if by >= 1.0 else []


def may_go_at(worker: Worker) -> float:
    """Tell from when on a worker over its memory limit may be replaced."""
    return worker.joined_at + wait_after(worker.slot, worker.swells)


def wait_after(slot: str, swells: int) -> float:
    """Give the seconds for which a slot's worker is left alone, after so many over the limit at once."""
    return backoff.delay(slot, swells, base=_FIRST_WAIT, cap=_LONGEST_WAIT)


def was_at_once(worker: Worker) -> bool:
    """Tell whether a worker was over its memory limit as soon as it had joined."""
    since = worker.weight.over_since
    return since is not None and since - worker.joined_at < AT_ONCE


def swells_after(worker: Worker) -> int:
    """Count, for its slot, one more that was over its memory limit; a late one begins anew."""
    over_since = worker.joined_at if worker.weight.over_since is None else worker.weight.over_since
    return backoff.failures_after(
        worker.swells,
        uptime=over_since - worker.joined_at,
        steady_after=AT_ONCE,
        useful=worker.ran > 0,
    )


def _overdue(limits: Limits, worker: Worker, now: float) -> tuple[float, str]:
    """Give the larger share of its jobs and of its life that a worker has had."""
    shares = [(0.0, "")]
    if limits.jobs:
        shares.append((worker.ran / last_jobs(limits.jobs, worker.name), "max_jobs"))
    if limits.age:
        span = longest_life(limits.age, worker.name)
        shares.append(((now - worker.joined_at) / span, "max_age"))
    return max(shares)
