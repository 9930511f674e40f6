"""A job as lists show it, without its payload; and what is recorded of it, read.

Any field may hold anything: what cannot be read is not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from jobd.broker.browse_cursor import Place
from jobd.broker.finding import LOOKED_AT, group_of
from jobd.broker.flow import SET_ASIDE
from jobd.core.error_lines import first_line
from jobd.core.states import ACTIVE, CLAIM_PER_MS, COMPLETED, DEAD, DELAYED, PARKED, TERMINAL

# What a row needs; first what a filter looks at.
FIELDS = (*LOOKED_AT, "priority", "failed", "timeouts", "crashes", "lost")


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """One job of a list. Times are ms since 1970 by Redis' clock.

    `attempts` are the failed and timed-out runs. `error` is the first line of the last one. A job that
    is `parked` waits for a worker that knows its task; of one whose task is paused nothing is due.
    """

    id: str
    queue: str
    task: str
    state: str
    priority: int = 5
    enqueued_at: int | None = None
    due_at: int | None = None
    claimed_at: int | None = None
    finished_at: int | None = None
    worker: str | None = None
    attempts: int = 0
    crashes: int = 0
    lost: int = 0
    cause: str | None = None
    error: str | None = None
    group: str | None = None
    task_paused: bool = False
    parked: bool = False


class Seen(NamedTuple):
    """A job that a walk came by: where it stands, and the values of the fields that were asked for."""

    place: Place
    record: Sequence[bytes | None]

    @property
    def id(self) -> str:
        """Its id, readable."""
        return text(self.place.id)

    @property
    def score(self) -> float:
        """Its score, 0 where there is none to read."""
        return number(self.place.score) or 0.0


def row_of(queue: str, state: str, seen: Seen) -> JobRow:
    """Make the row of a job whose FIELDS were read."""
    task, error, added, options, cause, priority, failed, timeouts, crashes, lost = seen.record
    score = whole(seen.place.score)
    paused = state == DELAYED and seen.score >= SET_ASIDE
    says = text(error or b"")
    asked_for = whole(priority)
    return JobRow(
        id=seen.id,
        queue=queue,
        task=text(task) if task else "?",
        state=state,
        priority=5 if asked_for is None else asked_for,
        enqueued_at=whole(added),
        due_at=score if state == DELAYED and not paused else None,
        claimed_at=score // CLAIM_PER_MS if state == ACTIVE and score else None,
        finished_at=score if state in TERMINAL else None,
        worker=text(seen.place.worker) or None,
        attempts=(whole(failed) or 0) + (whole(timeouts) or 0),
        crashes=whole(crashes) or 0,
        lost=whole(lost) or 0,
        cause=text(cause) if cause and state == DEAD else None,
        # What a run of it once said is no error of a job that has completed.
        error=first_line(says) or None if state != COMPLETED else None,
        group=group_of(options),
        task_paused=paused,
        parked=state == DELAYED and says.startswith(PARKED),
    )


def text(raw: bytes) -> str:
    """Read text, whatever bytes."""
    return raw.decode("utf-8", "replace")


def number(raw: bytes | None) -> float | None:
    """Read a number; None for none."""
    try:
        return None if raw is None else float(raw)
    except ValueError:
        return None


def whole(raw: bytes | None) -> int | None:
    """Read a whole number; None for none, and for an infinite one."""
    try:
        return None if raw is None else int(float(raw))
    except (ValueError, OverflowError):
        return None
