"""The dead, grouped by what killed them: task and the shape of the error, numbers left out.

Of very many dead the newest are looked at, and what is given says so. Cost: one call for each 400 of
them, however many there are. What a job died of does not change while it is dead, so it is read
once and remembered, for those that were looked at last.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from itertools import takewhile
from threading import Lock
from typing import Any, NamedTuple

import msgspec

from jobd.broker.browse_cursor import Place
from jobd.broker.browse_rows import Seen, text, whole
from jobd.broker.browse_walk import Stretch, Walk
from jobd.broker.connection import Client, place_of, translated
from jobd.broker.finding import cause_of
from jobd.broker.keys import QueueKeys
from jobd.core.error_lines import first_line, shape
from jobd.core.states import DEAD

MOST_SAMPLED = 5_000
"""Some 12 us each, here and in Redis, when they are looked at first."""
_REMEMBERED = 20_000  # jobs in all, of whichever queues were looked at last
_FIELDS = ("task", "cause", "error")
_CUT = 1024  # bytes of an error: more than its shape is made from
_BITE = 400  # as long a call as one of rows, which have more fields
_BARE_BITE = 1000  # and as one of ids alone


class _Kind(NamedTuple):
    """What dead jobs of one group have in common."""

    queue: str
    task: bytes | None
    cause: str
    like: str


# Of each place among the dead of one queue: of which kind it is, and the first line of its error.
_Known = dict[Place, tuple[_Kind, str]]


class DeadGroup(msgspec.Struct, kw_only=True):
    """Dead jobs of one kind: `like` is the shape of their error, `error` its first line in the newest,
    `example` that one's id. Times are ms since 1970; count and times are of what was looked at."""

    queue: str
    task: str
    cause: str
    like: str
    error: str
    count: int
    first_at: int
    last_at: int
    example: str


class DeadGroups(msgspec.Struct, frozen=True, kw_only=True):
    """Groups, the largest first; `sampled` of `total` dead jobs were looked at, the newest."""

    groups: list[DeadGroup]
    sampled: int
    total: int


class Grouper:
    """Groups the dead of a namespace, for several threads."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._lock = Lock()
        self._known: dict[str, _Known] = {}

    def read(self, queues: Iterable[str], most: int = MOST_SAMPLED) -> DeadGroups:
        """Look at up to `most` jobs, over these queues those that died last. Raises BrokerError."""
        with self._lock:
            known = dict(self._known)
        reading = _Reading(self._client, self._namespace, sorted(queues), known)
        found = reading.read(most)
        with self._lock:
            self._remember(reading.met)
        return found

    def _remember(self, met: dict[str, _Known]) -> None:
        """Keep what was met now, and of what was before as much as there is room for."""
        kept = {queue: jobs for queue, jobs in self._known.items() if queue not in met} | met
        while sum(map(len, kept.values())) > _REMEMBERED and len(kept) > len(met):
            del kept[next(iter(kept))]
        self._known = kept


class _Reading:
    """One look. `met` is what it came by."""

    def __init__(
        self, client: Client, namespace: str, queues: list[str], known: dict[str, _Known]
    ) -> None:
        self.met: dict[str, _Known] = {}
        self._client = client
        self._namespace = namespace
        self._queues = queues
        self._known = known
        self._found: dict[_Kind, DeadGroup] = {}

    def read(self, most: int) -> DeadGroups:
        sizes, line = self._look()
        sampled = 0
        while line and sampled < most:
            # Its own jobs were read up to here, so none of them died later than that.
            _, queue, after = heappop(line)
            stretch = self._go(queue, after, min(self._bite(len(sizes)), most - sampled))
            for seen in stretch.jobs:
                self._take(queue, seen)
            sampled += len(stretch.jobs)
            if not stretch.is_last:
                last = stretch.jobs[-1]
                heappush(line, (-last.score, queue, last.place))
        groups = sorted(self._found.values(), key=lambda group: (-group.count, -group.last_at))
        return DeadGroups(groups=groups, sampled=sampled, total=max(sampled, sum(sizes.values())))

    def _look(self) -> tuple[dict[str, int], list[tuple[float, str, Place | None]]]:
        """Count each queue's dead, and say which queue's died last."""
        with translated(place_of(self._client)):
            pipe: Any = self._client.pipeline(transaction=False)
            for queue in self._queues:
                key = QueueKeys(self._namespace, queue).dead
                pipe.zcard(key)
                pipe.zrange(key, 0, 0, desc=True, withscores=True)
            replies = pipe.execute(raise_on_error=False) if self._queues else []
        sizes, line = {}, list[tuple[float, str, Place | None]]()
        for queue, size, newest in zip(self._queues, replies[::2], replies[1::2], strict=True):
            if isinstance(newest, list) and newest:
                sizes[queue] = int(size)
                line.append((-newest[0][1], queue, None))
        heapify(line)
        return sizes, line

    def _bite(self, queues: int) -> int:
        """Of many queues less is read at once, or those that come first would use up all."""
        return max(20, min(_BARE_BITE, MOST_SAMPLED // (2 * queues)))

    def _go(self, queue: str, after: Place | None, limit: int) -> Stretch:
        """Read a stretch: of those that are known only where they stand, or what is recorded of some."""
        if known := self._known.get(queue):
            stretch = self._walk(queue, (), _BARE_BITE).go(after, limit)
            old = list(takewhile(lambda seen: seen.place in known, stretch.jobs))
            if len(old) == len(stretch.jobs):
                return stretch
            if old:
                return Stretch(old, stretch.size, is_last=False)
        return self._walk(queue, _FIELDS, _BITE).go(after, limit)

    def _walk(self, queue: str, fields: tuple[str, ...], bite: int) -> Walk:
        return Walk(self._client, self._namespace, queue, DEAD, fields=fields, cut=_CUT, bite=bite)

    def _take(self, queue: str, seen: Seen) -> None:
        kind, error = self._known[queue][seen.place] if not seen.record else _read(queue, seen)
        self.met.setdefault(queue, {})[seen.place] = kind, error
        at = whole(seen.place.score) or 0
        if (group := self._found.get(kind)) is not None:  # they come newest first
            group.count += 1
            group.first_at = min(group.first_at, at)
            return
        self._found[kind] = DeadGroup(
            queue=queue,
            task=text(kind.task or b"?"),
            cause=kind.cause,
            like=kind.like,
            error=error,
            count=1,
            first_at=at,
            last_at=at,
            example=seen.id,
        )


def _read(queue: str, seen: Seen) -> tuple[_Kind, str]:
    task, cause, error = seen.record
    says = text(error or b"")
    return _Kind(queue, task, cause_of(cause), shape(says)), first_line(says)
