"""What holds a queue back, read for people and programs.

The script that claims decides; this reads the same fields. A rate limit's log is read as it stands,
so what has left its window since the last claim is left out here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from jobd.broker.connection import Client, place_of, translated
from jobd.broker.keys import QueueKeys
from jobd.broker.together import read_together

# Scores of `delayed` from here on are no times: the tasks of such jobs are paused.
SET_ASIDE = 4e15

_META = (
    "paused", "paused_why", "not_before", "throttled_by", "rate_max", "rate_ms", "max_active",
)  # fmt: skip


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """What holds one queue back. Times are ms since 1970 by Redis' clock, spans ms; 0 is no limit.

    `rate_used` are the starts of the last window; `rate_free_at` says when the next one may begin, where
    all of them are used. `resuming` are tasks whose jobs are on their way back.
    """

    paused_at: int | None = None
    paused_why: str = ""
    paused_tasks: tuple[str, ...] = ()
    resuming: tuple[str, ...] = ()
    throttled_until: int | None = None
    throttled_by: str | None = None
    rate_max: int = 0
    rate_ms: int = 0
    rate_used: int = 0
    rate_free_at: int | None = None
    max_active: int = 0

    @property
    def is_paused(self) -> bool:
        """Whether nothing of the queue begins."""
        return self.paused_at is not None


def read_flow(client: Client, namespace: str, queue: str, *, now: int | None = None) -> Flow:
    """Read what holds a queue back, at one instant. Raises BrokerError.

    `now` injects a store time in ms for tests.
    """
    with translated(place_of(client)):
        keys = QueueKeys(namespace, queue)
        replies = read_together(client, lambda pipe: ask_flow(pipe, keys))
    return flow_of(replies, now=now)


# How many commands `ask_flow` puts into a pipeline, and so how many replies `flow_of` takes.
FLOW_COMMANDS = 4


def ask_flow(pipe: Any, keys: QueueKeys) -> None:
    """Put the questions for a queue's flow into a pipeline."""
    pipe.hmget(keys.meta, *_META)
    pipe.hgetall(keys.off)
    pipe.hgetall(keys.rate)
    pipe.time()


def flow_of(replies: Sequence[Any], *, now: int | None = None) -> Flow:
    """Read the answers."""
    said, off, rate, (seconds, micros) = replies
    if now is None:
        now = int(seconds) * 1000 + int(micros) // 1000
    meta = dict(zip(_META, said, strict=True)) if isinstance(said, list) else {}
    until = _whole(meta.get("not_before"))
    rate_max, rate_ms = _whole(meta.get("rate_max")), _whole(meta.get("rate_ms"))
    used, free_at = _log(rate if isinstance(rate, dict) else {}, rate_max, rate_ms, now)
    tasks = off.items() if isinstance(off, dict) else ()
    return Flow(
        paused_at=_whole(meta.get("paused")) if meta.get("paused") else None,
        paused_why=_text(meta.get("paused_why")),
        paused_tasks=tuple(sorted(_text(task) for task, score in tasks if _whole(score) > 0)),
        resuming=tuple(sorted(_text(task) for task, score in tasks if _whole(score) < 0)),
        throttled_until=until if until > now else None,
        throttled_by=_text(meta.get("throttled_by")) if until > now else None,
        rate_max=rate_max,
        rate_ms=rate_ms,
        rate_used=used,
        rate_free_at=free_at,
        max_active=_whole(meta.get("max_active")),
    )


def _log(rate: dict[bytes, bytes], most: int, rate_ms: int, now: int) -> tuple[int, int | None]:
    """Count the claims of the window that ends now, and tell when there is a place again."""
    width = _whole(rate.get(b"width"))
    if not most or not rate_ms or not width:
        return 0, None
    # As in _rate.lua: a bucket counts from its end, and a window has a guard.
    span = rate_ms + max(1, min(20, rate_ms // 200))
    ends = sorted(
        ((int(bucket) + 1) * width + span, _whole(n))
        for bucket, n in rate.items()
        if bucket.isdigit()
    )
    kept = [(end, n) for end, n in ends if end > now]
    used = sum(n for _, n in kept)
    over = used - most
    for end, n in kept if over >= 0 else ():
        over -= n
        if over < 0:
            return used, end
    return used, None


def _whole(raw: Any) -> int:
    try:
        return int(raw or 0)
    except ValueError:
        return 0


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode("utf-8", "replace")
