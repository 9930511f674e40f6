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


def attempts_of(info: JobInfo) -> list[Attempt]:
    """Give the attempts, the first one first. Numbers leave a gap where lines are not kept any more."""
    lines = info.history
    total = max(
        len(lines), info.failed + info.timeouts + info.crashes + info.lost + info.interrupted
    )
    missing = total - len(lines)
    found = [_attempt(n + (missing if n > 1 else 0), line) for n, line in enumerate(lines, 1)]
    if info.state == COMPLETED:
        found.append(_completed(total + 1, info))
    elif info.state == ACTIVE:
        found.append(
            Attempt(
                number=total + 1, outcome="running", started_at=info.claimed_at, worker=info.worker
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
