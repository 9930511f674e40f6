"""The dead, grouped by what killed them: task and the shape of the error, numbers left out.

Of very many dead the newest are looked at, and what is given says so. Cost: one call for each 400 of
them, at most MOST_SAMPLED in all, or as the caller says, however many there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from typing import Any

import msgspec

from jobd.broker.browse_cursor import Place
from jobd.broker.browse_rows import Seen, text, whole
from jobd.broker.browse_walk import Walk
from jobd.broker.connection import Client, place_of, translated
from jobd.broker.keys import QueueKeys
from jobd.core.error_lines import first_line, shape
from jobd.core.states import DEAD

MOST_SAMPLED = 5_000
"""Some 12 us each, here and in Redis; ten thousand is the most that anybody should wait for."""
_FIELDS = ("task", "cause", "error")
_CUT = 1024  # bytes of an error: more than its shape is made from
_BITE = 400  # as long a call as one of rows, which have more fields


_Kind = tuple[str, bytes | None, bytes | None, str]  # queue, task, cause, shape


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


class Grouping:
    """Groups the dead of some queues."""

    def __init__(self, client: Client, namespace: str, queues: Iterable[str]) -> None:
        self._client = client
        self._namespace = namespace
        self._queues = sorted(queues)
        self._walks = {
            queue: Walk(client, namespace, queue, DEAD, fields=_FIELDS, cut=_CUT, bite=_BITE)
            for queue in self._queues
        }
        self._found: dict[_Kind, DeadGroup] = {}

    def read(self, most: int = MOST_SAMPLED) -> DeadGroups:
        """Look at up to `most` jobs, over all queues those that died last. Raises BrokerError."""
        sizes, line = self._look()
        sampled = 0
        while line and sampled < most:
            # Its own jobs were read up to here, so none of them died later than that.
            _, queue, after = heappop(line)
            stretch = self._walks[queue].go(after, min(self._bite(len(sizes)), most - sampled))
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
        return max(20, min(_BITE, MOST_SAMPLED // (2 * queues)))

    def _take(self, queue: str, seen: Seen) -> None:
        task, cause, error = seen.record
        says = text(error or b"")
        at = whole(seen.place.score) or 0
        kind = (queue, task, cause, shape(says))
        group = self._found.get(kind)
        if group is None:
            self._found[kind] = DeadGroup(
                queue=queue,
                task=text(task or b"?"),
                cause=text(cause or b"?"),
                like=kind[3],
                error=first_line(says),
                count=1,
                first_at=at,
                last_at=at,
                example=seen.id,
            )
        else:  # they come newest first
            group.count += 1
            group.first_at = min(group.first_at, at)
