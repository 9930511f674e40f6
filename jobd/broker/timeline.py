"""What a job went through, attempt by attempt, for people: out of what is recorded of it.

An attempt that completed within 10 ms leaves nothing but its end, so that what is quick costs nothing; where
it ran is not known afterwards (jobd.core.ran). Anything recorded may be a stranger's: what makes no sense is not there. Pure. Called by
jobd.web, with a job whose secrets are masked.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from jobd.broker.views import JobInfo
from jobd.core.states import ACTIVE, COMPLETED

NO_RUN = ("retried", "replaced")
"""Kinds of lines that tell of no run: of what somebody has done with the job."""

_INCARNATION = re.compile(r"[0-9a-f]{16}\.\d+")


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt. Times are ms since 1970 by Redis' clock, None where nobody knows.

    `outcome`: completed, running, cancelled, discarded, failed, soft_timeout, timeout, crash, memory, oom, hung,
    boot, interrupted, fenced, lost. `worker` is an incarnation, `token` the claim; `how` says how its process
    ended, `among` how many jobs ran in it; `note` what follows from it, where that is not plain.
    """

    number: int
    outcome: str
    started_at: int | None = None
    ended_at: int | None = None
    ran_ms: int | None = None
    host: str | None = None
    slot: str | None = None
    worker: str | None = None
    token: int | None = None
    error: str | None = None
    traceback: str | None = None
    how: str | None = None
    among: int | None = None
    note: str | None = None


def numbered(info: JobInfo) -> list[int | None]:
    """Number the lines of a job's history: which run each tells of, from 1; None for one that tells of none.

    Numbers leave a gap after the first where lines are not kept any more.
    """
    kinds = [line.get("kind") for line in info.history]
    again = len(kinds) - kinds[::-1].index("retried") if "retried" in kinds else 0
    # Whoever retries a job by hand sets its counters to nothing.
    counted = info.failed + info.timeouts + info.crashes + info.lost + info.interrupted
    kept = sum(kind not in NO_RUN for kind in kinds[again:])
    missing, number = max(0, counted - kept), 0
    numbers: list[int | None] = []
    for kind in kinds:
        if kind in NO_RUN:
            numbers.append(None)
            continue
        number += 1 + (missing if number == 1 else 0)
        numbers.append(number)
    return numbers


def next_number(info: JobInfo) -> int:
    """Give the number of the run after those that the history tells of."""
    return max((number for number in numbered(info) if number), default=0) + 1


def attempts_of(info: JobInfo) -> list[Attempt]:
    """Give the attempts, the first one first."""
    found = [
        _attempt(number, line)
        for number, line in zip(numbered(info), info.history, strict=True)
        if number is not None
    ]
    if info.state == COMPLETED:
        found.append(_completed(next_number(info), info))
    elif info.state == ACTIVE:
        found.append(
            Attempt(
                number=next_number(info),
                outcome="running",
                started_at=info.claimed_at,
                worker=info.worker,
            )
        )
    return found


def _completed(number: int, info: JobInfo) -> Attempt:
    ended_at, ran = info.finished_at, info.ran
    if ran is None:
        return Attempt(number=number, outcome="completed", ended_at=ended_at)
    return Attempt(
        number=number,
        outcome="completed",
        started_at=None if ended_at is None else ended_at - ran.ms,
        ended_at=ended_at,
        ran_ms=ran.ms,
        host=ran.host,
        slot=ran.slot,
        token=ran.token,
    )


def _attempt(number: int, line: dict[str, Any]) -> Attempt:
    at, ran_ms = _whole(line.get("at")), _whole(line.get("ran_ms"))
    # Workers write their slot, keepers the incarnation: it is they who know it.
    said, slot = _words(line.get("worker")), _words(line.get("slot"))
    is_slot = said is not None and not _INCARNATION.fullmatch(said)
    return Attempt(
        number=number,
        outcome=_words(line.get("kind")) or "?",
        started_at=at - ran_ms if at is not None and ran_ms is not None else None,
        ended_at=at,
        ran_ms=ran_ms,
        host=_words(line.get("host")),
        slot=slot or (said if is_slot else None),
        worker=None if is_slot else said,
        token=_whole(line.get("token")),
        error=_words(line.get("error")),
        traceback=_words(line.get("traceback")),
        how=_words(line.get("how")),
        among=_whole(line.get("among")),
        note=_words(line.get("note")),
    )


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _words(value: object) -> str | None:
    return value if isinstance(value, str) else None
