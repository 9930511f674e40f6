"""Going through the jobs of one state in their order, a stretch at a time, while others move them.

Whoever stands still is met exactly once; who comes or moves may be met, or not. The cost of a stretch
is of its length and, for what runs, of the number of workers; never of the number of jobs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from jobd.broker.browse_cursor import Place
from jobd.broker.browse_rows import FIELDS, Seen
from jobd.broker.connection import Client, place_of, run, translated
from jobd.broker.keys import QueueKeys
from jobd.broker.replies import read_number
from jobd.broker.scripts import SCRIPTS
from jobd.core.states import ACTIVE, DELAYED, WAITING

BITE = 200
"""Jobs in one call: it holds Redis for a millisecond."""
CUT = 16_384
"""Bytes of a value that are read; ours are shorter."""
_HELD_BITE = 8  # workers whose jobs are read in one round trip; each holds some hundreds at most


class Stretch(NamedTuple):
    """Some jobs, how many there are in all in this state, and whether these were the last."""

    jobs: list[Seen]
    size: int
    is_last: bool


class Walk:
    """Reads one state of one queue: what runs next first, what ended last first, what runs by worker."""

    def __init__(
        self, client: Client, namespace: str, queue: str, state: str,
        *, fields: Sequence[str] = FIELDS, cut: int = CUT, bite: int = BITE,
    ) -> None:  # fmt: skip
        self._client = client
        self._keys = QueueKeys(namespace, queue)
        self._place = place_of(client)
        self._state = state
        self._fields = fields
        self._cut = cut
        self._bite = bite

    def go(self, after: Place | None, limit: int) -> Stretch:
        """Read up to `limit` jobs behind a place, at most a bite. Raises BrokerError."""
        limit = min(limit, self._bite)
        return self._held(after, limit) if self._state == ACTIVE else self._listed(after, limit)

    def stretches(self, after: Place | None = None) -> Iterator[Stretch]:
        """Read to the end. Raises BrokerError."""
        while True:
            stretch = self.go(after, self._bite)
            yield stretch
            if stretch.is_last:
                return
            after = stretch.jobs[-1].place

    def last(self) -> Place | None:
        """Name the place that comes last by now, but for what runs. Raises BrokerError."""
        end = 0 if self.is_downward else -1
        with translated(self._place):
            rows: Any = self._client.execute_command(
                "ZRANGE", getattr(self._keys, self._state), end, end, "WITHSCORES"
            )  # type: ignore[no-untyped-call]
        return _last_place(rows)

    @property
    def is_downward(self) -> bool:
        """Whether scores fall along the way."""
        return self._state not in (WAITING, DELAYED, ACTIVE)

    def _listed(self, after: Place | None, limit: int) -> Stretch:
        command = SCRIPTS["page"].command(
            [getattr(self._keys, self._state), self._keys.job_prefix],
            "down" if self.is_downward else "up",
            b"" if after is None else after.score,
            b"" if after is None else after.id,
            limit,
            self._cut,
            *self._fields,
        )
        size, *rows = run(self._client, command)
        jobs = [Seen(Place(score, job), record) for job, score, record in rows]
        return Stretch(jobs, size, len(jobs) < limit)

    def _held(self, after: Place | None, limit: int) -> Stretch:
        counts = self._counts()
        workers = [w for w in sorted(counts) if counts[w] and (after is None or w >= after.worker)]
        found: list[Place] = []
        for at in range(0, len(workers), _HELD_BITE):
            found += self._of(workers[at : at + _HELD_BITE], after)
            if len(found) > limit:
                break
        return Stretch(self._recorded(found[:limit]), sum(counts.values()), len(found) <= limit)

    def _counts(self) -> dict[bytes, int]:
        """Count what each worker holds."""
        with translated(self._place):
            leases: Any = self._client.zrange(self._keys.leases, 0, -1)
            pipe = self._client.pipeline(transaction=False)
            for worker in leases:
                pipe.hlen(self._held_key(worker))
            counts = pipe.execute(raise_on_error=False) if leases else []
        return {w: n if isinstance(n, int) else 0 for w, n in zip(leases, counts, strict=True)}

    def _of(self, workers: list[bytes], after: Place | None) -> list[Place]:
        """Read what workers hold, each in the order of its claims."""
        with translated(self._place):
            pipe = self._client.pipeline(transaction=False)
            for worker in workers:
                pipe.hgetall(self._held_key(worker))
            replies = pipe.execute(raise_on_error=False)
        found = []
        for worker, held in zip(workers, replies, strict=True):
            jobs = held.items() if isinstance(held, dict) else ()
            line = sorted((worker, read_number(claim), job) for job, claim in jobs)
            if after is not None and worker == after.worker:
                line = [each for each in line if each[1:] > (read_number(after.score), after.id)]
            found += [Place(b"%d" % claim, job, worker) for _, claim, job in line]
        return found

    def _recorded(self, places: list[Place]) -> list[Seen]:
        with translated(self._place):
            pipe = self._client.pipeline(transaction=False)
            for place in places:
                pipe.hmget(self._keys.job_prefix.encode() + place.id, *self._fields)
            records = pipe.execute(raise_on_error=False) if places else []
        empty = [None] * len(self._fields)
        return [
            Seen(place, record if isinstance(record, list) else empty)
            for place, record in zip(places, records, strict=True)
        ]

    def _held_key(self, worker: bytes) -> bytes:
        return self._keys.held_prefix.encode() + worker


def _last_place(rows: list[Any]) -> Place | None:
    """Read one id and its score, as this version of Redis' protocol gives them."""
    if not rows:
        return None
    job, score = rows[0] if isinstance(rows[0], list | tuple) else rows
    return Place(score if isinstance(score, bytes) else b"%.17g" % score, job)
