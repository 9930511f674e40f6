"""Finding jobs by what is known of them, page by page, while others move them.

A container is walked by Redis' own scan, which gives every job that is there from beginning to end,
perhaps twice, and never holds the server for long. So whoever changes what was found may do so
between two pages. What came into the container after the walk had begun is left out: a job that dies
again while the dead are retried is not retried again. Read-only; called by queues and commands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import nsmallest
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from jobd.broker.connection import Client, place_of, translated
from jobd.broker.keys import QueueKeys
from jobd.broker.store import store_ms
from jobd.core.error_lines import shape
from jobd.core.labels import labels_of
from jobd.core.states import ACTIVE, CANCELLED, COMPLETED, DEAD
from jobd.core.unreadable import UNREADABLE_JSON

PAGE = 500
LOOKED_AT = ("task", "error", "at", "options", "cause")
"""The fields of a record that say whether a job is wanted."""
_ENDED = (COMPLETED, DEAD, CANCELLED)
_LONGEST_CAUSE = 100  # characters; ours are words


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a job must be like. `error` is a part of its error's text, in any case; `group` is the whole.

    `like` is the shape of its error (core/error_lines.py). `cause` is what it is dead of, by a word of
    core/states.py or a stranger's; no other job has one. The ages count from the end of a job that has
    ended, and from its adding otherwise; at just that age it is both.
    """

    task: str | None = None
    error: str | None = None
    group: str | None = None
    older_than_ms: int | None = None
    newer_than_ms: int | None = None
    like: str | None = None
    cause: str | None = None

    def __bool__(self) -> bool:
        return self != _ANYTHING


_ANYTHING = Wanted()


class Found(NamedTuple):
    """A job, and its score in its container (ms since 1970 where it is a time)."""

    id: str
    score: float


class Finder:
    """Walks the containers of one queue. `now` is a store time in ms (tests); None asks Redis."""

    def __init__(
        self, client: Client, namespace: str, queue: str, *, now: int | None = None
    ) -> None:
        self._client = client
        self._now = now
        self._place = place_of(client)
        self._keys = QueueKeys(namespace, queue)

    def size(self, states: Iterable[str]) -> int:
        """Count what a walk will look at, about."""
        with translated(self._place):
            total = 0
            for state in states:
                if state == ACTIVE:
                    counts: list[Any] = [self._client.hlen(key) for key in self._held()]
                else:
                    counts = [self._client.zcard(getattr(self._keys, state))]
                total += sum(counts)
            return total

    def pages(self, states: Iterable[str], wanted: Wanted) -> Iterator[tuple[int, list[Found]]]:
        """Give, page by page, how many jobs were looked at and those that are wanted."""
        began = store_ms(self._client) if self._now is None else self._now
        for state in states:
            for page in self._walk(state):
                ended = state in _ENDED
                rest = [job for job in page if not ended or job.score <= began]
                yield len(page), self._those(rest, wanted, began if wanted else 0, ended=ended)

    def first(self, state: str, wanted: Wanted, most: int) -> list[str]:
        """List ids: what runs next first, what ended last first, as `Views.jobs` does."""
        found = (job for _, page in self.pages((state,), wanted) for job in page)
        sign = -1 if state in _ENDED else 1
        return [job.id for job in nsmallest(most, found, key=lambda job: sign * job.score)]

    def _walk(self, state: str) -> Iterator[list[Found]]:
        if state != ACTIVE:
            return self._scan(self._client.zscan, getattr(self._keys, state))
        return chain.from_iterable(self._scan(self._client.hscan, key) for key in self._held())

    def _scan(self, scan: Callable[..., Any], key: str) -> Iterator[list[Found]]:
        cursor = None
        while cursor != 0:
            with translated(self._place):
                cursor, rows = scan(key, cursor or 0, count=PAGE)
            pairs = rows.items() if isinstance(rows, dict) else rows
            yield [Found(_text(job), _number(score) or 0.0) for job, score in pairs]

    def _held(self) -> list[str]:
        with translated(self._place):
            leases: Any = self._client.zrange(self._keys.leases, 0, -1)
        return [self._keys.held(_text(name)) for name in leases]

    def _those(self, page: list[Found], wanted: Wanted, now: int, *, ended: bool) -> list[Found]:
        if not wanted or not page:
            return page
        with translated(self._place):
            pipe = self._client.pipeline(transaction=False)
            for job in page:
                pipe.hmget(self._keys.job(job.id), *LOOKED_AT)
            records: list[Any] = pipe.execute(raise_on_error=False)
        return [
            job
            for job, record in zip(page, records, strict=True)
            if isinstance(record, list)
            and is_wanted(wanted, record, job.score if ended else None, now)
        ]


def is_wanted(
    wanted: Wanted, record: Sequence[bytes | None], ended_at: float | None, now: int
) -> bool:
    """Say whether a job is wanted, by the fields LOOKED_AT of its record."""
    task, error, added, options, cause = record
    if wanted.task is not None and (task is None or _text(task) != wanted.task):
        return False
    if wanted.group is not None and wanted.group != group_of(options):
        return False
    if wanted.cause is not None and wanted.cause != cause_of(cause):
        return False
    if wanted.error is not None and wanted.error.lower() not in _text(error or b"").lower():
        return False
    if wanted.like is not None and wanted.like != shape(_text(error or b"")):
        return False
    return _has_age(wanted, _number(added) if ended_at is None else ended_at, now)


def _has_age(wanted: Wanted, since: float | None, now: int) -> bool:
    least, most = wanted.older_than_ms, wanted.newer_than_ms
    if least is None and most is None:
        return True
    if since is None:
        return False
    return (least is None or now - since >= least) and (most is None or now - since <= most)


def cause_of(raw: bytes | None) -> str:
    """Give the cause that is recorded of a dead job as filters and groups have it; `?` for none."""
    return _text(raw)[:_LONGEST_CAUSE] if raw else "?"


def group_of(options: bytes | None) -> str | None:
    """Give the group among the options of a record."""
    try:
        read = {} if options is None else msgspec.json.decode(options)
    except UNREADABLE_JSON:
        return None
    return labels_of(read)[0] if isinstance(read, dict) else None


def _number(raw: bytes | float | None) -> float | None:
    try:
        return None if raw is None else float(raw)
    except ValueError:
        return None


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
