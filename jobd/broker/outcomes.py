"""What became of some jobs, of any queues: their states, without their payloads, in one round trip.

Blocking; reads only. A job that moves meanwhile may be said to be active. Called by the dashboard, for
the jobs that schedules have added.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from jobd.broker.browse_rows import text, whole
from jobd.broker.connection import Client, place_of, translated
from jobd.broker.keys import QueueKeys
from jobd.core.error_lines import first_line
from jobd.core.states import ACTIVE, CANCELLED, COMPLETED, DEAD, DELAYED, TERMINAL, WAITING

_CONTAINERS = (WAITING, DELAYED, COMPLETED, DEAD, CANCELLED)


class Outcome(NamedTuple):
    """How a job stands, and when it ended (ms since 1970); of a dead one the first line of its error."""

    state: str
    ended_at: int | None
    error: str | None


def outcomes(
    client: Client, namespace: str, jobs: Sequence[tuple[str, str]]
) -> list[Outcome | None]:
    """Read how each of these jobs stands, by queue and id; None for what is not recorded.

    Raises BrokerError.
    """
    if not jobs:
        return []
    with translated(place_of(client)):
        pipe = client.pipeline(transaction=False)
        for queue, job in jobs:
            keys = QueueKeys(namespace, queue)
            for state in _CONTAINERS:
                pipe.zscore(getattr(keys, state), job)
            pipe.exists(keys.job(job))
            pipe.hmget(keys.job(job), "error", "cause")
        found: list[Any] = pipe.execute(raise_on_error=False)
    each = len(_CONTAINERS) + 2
    return [_read(found[at : at + each]) for at in range(0, len(found), each)]


def _read(found: Sequence[Any]) -> Outcome | None:
    """Read the answers about one job; any of them may be an error, where a stranger has written."""
    *scores, exists, said = found
    for state, score in zip(_CONTAINERS, scores, strict=True):
        if isinstance(score, int | float):
            ended = whole(str(score).encode()) if state in TERMINAL else None
            return Outcome(state, ended, _error(said) if state == DEAD else None)
    return Outcome(ACTIVE, None, None) if exists == 1 else None


def _error(said: Any) -> str | None:
    """Give the last error's first line, or else the cause."""
    lines = [first_line(text(raw)) for raw in said if raw] if isinstance(said, list) else []
    return lines[0] if lines else None
