"""How long jobs that have ended are kept: by age and by number, for each outcome.

Ages may also be said for a task or a call; numbers belong to the whole queue, and so does what is
said of cancelled jobs: who cancels one knows its queue, and nothing of its task.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from jobd.core.durations import milliseconds
from jobd.core.errors import OptionError
from jobd.core.suggest import nearest, one_of

OUTCOMES = ("completed", "dead", "cancelled")
ANY_NUMBER = -1
MOST = 100_000_000

_EXAMPLE = "{'completed': {'age': '24h', 'count': 10000}, 'dead': {'age': '7d'}}"


class Retain(msgspec.Struct, frozen=True, kw_only=True):
    """What one level says of how long finished jobs are kept: ages in ms, counts of jobs.

    None: not said here.
    """

    completed_ms: int | None = None
    completed_count: int | None = None
    dead_ms: int | None = None
    dead_count: int | None = None
    cancelled_ms: int | None = None
    cancelled_count: int | None = None


RETAIN_FIELDS = Retain.__struct_fields__
# A dead or cancelled job is one that somebody may want back: by default no number of others
# removes it before its time.
BUILT_IN_RETAIN = Retain(
    completed_ms=86_400_000,
    completed_count=10_000,
    dead_ms=604_800_000,
    dead_count=ANY_NUMBER,
    cancelled_ms=86_400_000,
    cancelled_count=ANY_NUMBER,
)


def read_retain(value: object, *, what: str, of_queue: bool) -> Retain:
    """Read `retain`; `of_queue` when it is said for a whole queue. Raises OptionError."""
    if isinstance(value, Retain):
        return value
    if not isinstance(value, Mapping):
        raise OptionError(f"{what}: {value!r}; expected {_EXAMPLE}")
    read: dict[str, int] = {}
    for outcome, rule in value.items():
        _check_outcome(outcome, what, of_queue=of_queue)
        if not isinstance(rule, Mapping):
            raise OptionError(f"{what}.{outcome}: {rule!r}; expected {{'age': '24h'}}")
        for name, amount in rule.items():
            place = f"{what}.{outcome}.{name}"
            if name == "age":
                read[f"{outcome}_ms"] = milliseconds(amount, what=place)
            elif name == "count":
                read[f"{outcome}_count"] = _count(amount, place, of_queue=of_queue)
            else:
                names = ("age", "count") if of_queue else ("age",)
                raise OptionError(
                    f"{place}: unknown; expected {one_of(names)}" + nearest(str(name), names)
                )
    return Retain(**read)


def write_retain(retain: Retain) -> dict[str, dict[str, float]]:
    """Write what a call said, as `read_retain` reads it: it can say ages of two outcomes only."""
    ages = {"completed": retain.completed_ms, "dead": retain.dead_ms}
    return {outcome: {"age": ms / 1000} for outcome, ms in ages.items() if ms is not None}


def _check_outcome(outcome: object, what: str, *, of_queue: bool) -> None:
    if outcome not in OUTCOMES:
        raise OptionError(
            f"{what}.{outcome}: unknown; expected {one_of(OUTCOMES)}"
            + nearest(str(outcome), OUTCOMES)
        )
    if outcome == "cancelled" and not of_queue:
        raise OptionError(
            f"{what}.cancelled: said for a task or a call; who cancels a job knows its queue alone; "
            "set it on the queue"
        )


def _count(amount: object, place: str, *, of_queue: bool) -> int:
    if not of_queue:
        raise OptionError(
            f"{place}: {amount!r}; a count belongs to the whole queue; "
            "set it on the queue, and only an age here"
        )
    if isinstance(amount, int) and not isinstance(amount, bool) and 0 <= amount <= MOST:
        return amount
    raise OptionError(f"{place}: {amount!r}; expected a whole number from 0 to {MOST}")
