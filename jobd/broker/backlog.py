"""What waits in queues, and whether more workers could take it: a few figures, once a second.

Cost is of the number of queues and workers, never of jobs: two round trips for any number of queues,
one while they are empty, a third where priorities are mixed. Read by the keeper, for whoever decides
how many processes a queue has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import isfinite
from typing import Any

import msgspec

from jobd.broker.connection import Client, place_of, translated
from jobd.broker.keys import QueueKeys

_META = ("paused", "not_before", "rate_max", "rate_ms", "max_active")
_PRIORITY = 2**40  # scores of `waiting` are priority * 2^40 + sequence
# That part of a limit is enough to be at it: the few places that are free are on their way to somebody.
_NEARLY = 0.9


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """One queue: what is due and not begun, for how many seconds the oldest of it has been, whether
    more workers would be held back (`limited`: by its own limits), and how many hosts serve it."""

    due: int = 0
    oldest: float = 0.0
    paused: bool = False
    limited: bool = False
    hosts: int = 1


class Backlogs:
    """Reads them. `now` injects a store time in ms for tests."""

    def __init__(self, client: Client, namespace: str, *, now: int | None = None) -> None:
        self._client = client
        self._namespace = namespace
        self._now = now

    def read(self, queues: Iterable[str]) -> dict[str, Backlog]:
        """Read these queues; of none, only see whether Redis answers. Raises BrokerError."""
        looks = {name: _Look(QueueKeys(self._namespace, name)) for name in queues}
        first = _Round(self._client)
        first.ask(lambda time: self._set_time(looks.values(), time)).time()
        for look in looks.values():
            look.ask_first(first)
        first.go()
        for ask in (_Look.ask_more, _Look.ask_behind):
            following = _Round(self._client)
            for look in looks.values():
                ask(look, following)
            following.go()
        return {name: look.found() for name, look in looks.items()}

    def _set_time(self, looks: Iterable[_Look], time: tuple[int, int]) -> None:
        for look in looks:
            look.now = (
                int(time[0]) * 1000 + int(time[1]) // 1000 if self._now is None else self._now
            )


class _Round:
    """One round trip: questions, each with what takes its answer."""

    def __init__(self, client: Client) -> None:
        self._place = place_of(client)
        self._pipe: Any = client.pipeline(transaction=False)
        self._takers: list[Callable[[Any], None]] = []

    def ask(self, take: Callable[[Any], None]) -> Any:
        """Give what spells the question."""
        self._takers.append(take)
        return self._pipe

    def go(self) -> None:
        if not self._takers:
            return
        with translated(self._place):
            replies = self._pipe.execute(raise_on_error=False)
        for take, reply in zip(self._takers, replies, strict=True):
            # What somebody else put in the place of a key counts for nothing.
            if not isinstance(reply, Exception):
                take(reply)


class _Look:
    """What is known of one queue so far, and what is to be asked next."""

    def __init__(self, keys: QueueKeys) -> None:
        self._keys = keys
        self.now = 0
        self._waiting = 0
        self._late = 0
        self._held = 0
        self._full = False
        self._ages = [0]
        self._first: list[tuple[bytes, float]] = []
        self._last: list[tuple[bytes, float]] = []
        self._behind: list[bytes] = []
        self._delayed: list[tuple[bytes, float]] = []
        self._leases: list[tuple[bytes, float]] = []
        self._meta: dict[str, int] = dict.fromkeys(_META, 0)

    def ask_first(self, round_trip: _Round) -> None:
        keys, ask = self._keys, round_trip.ask
        ask(lambda n: setattr(self, "_waiting", n)).zcard(keys.waiting)
        ask(lambda rows: setattr(self, "_first", rows)).zrange(keys.waiting, 0, 0, withscores=True)
        ask(lambda rows: setattr(self, "_last", rows)).zrange(keys.waiting, -1, -1, withscores=True)
        ask(lambda rows: setattr(self, "_delayed", rows)).zrange(
            keys.delayed, 0, 0, withscores=True
        )
        ask(lambda rows: setattr(self, "_leases", rows)).zrange(keys.leases, 0, -1, withscores=True)
        ask(self._take_meta).hmget(keys.meta, *_META)

    def ask_more(self, round_trip: _Round) -> None:
        """Ask what only a queue with work, or with limits, is asked."""
        keys, ask, meta = self._keys, round_trip.ask, self._meta
        for _, due_at in self._delayed:
            if due_at <= self.now:
                if isfinite(due_at):  # else it is no time, and some stranger's
                    self._ages.append(int(self.now - due_at))
                ask(lambda n: setattr(self, "_late", n)).zcount(keys.delayed, "-inf", self.now)
        for job, _ in self._first:
            ask(self._take_age).hmget(keys.job(_text(job)), "at", "due")
        if self._class_of(self._first) != (lowest := self._class_of(self._last)):
            behind = ask(lambda ids: setattr(self, "_behind", ids))
            behind.zrangebyscore(keys.waiting, lowest * _PRIORITY, "+inf", start=0, num=1)
        if meta["rate_max"] and meta["rate_ms"]:
            ask(self._take_rate).hmget(keys.rate, "used", "last", "width")
        for worker in self._open() if meta["max_active"] else ():
            ask(self._take_held).hlen(keys.held(_text(worker)))

    def ask_behind(self, round_trip: _Round) -> None:
        """Of several priorities the last one holds those that wait longest."""
        for job in self._behind:
            round_trip.ask(self._take_age).hmget(self._keys.job(_text(job)), "at", "due")

    def found(self) -> Backlog:
        hosts = {worker.partition(b".")[0] for worker in self._open()}
        return Backlog(
            due=self._waiting + self._late,
            oldest=max(self._ages) / 1000,
            paused=bool(self._meta["paused"]),
            limited=self._full or self._meta["not_before"] > self.now,
            hosts=max(1, len(hosts)),
        )

    def _open(self) -> list[bytes]:
        return [worker for worker, until in self._leases if until > self.now]

    def _class_of(self, rows: list[tuple[bytes, float]]) -> int:
        return int(rows[0][1] // _PRIORITY) if rows and isfinite(rows[0][1]) else 0

    def _take_meta(self, values: list[bytes | None]) -> None:
        self._meta = dict(zip(_META, map(_whole, values), strict=True))

    def _take_age(self, record: list[bytes | None]) -> None:
        """A job waits since it was added, or since it was due."""
        if since := max(map(_whole, record)):
            self._ages.append(self.now - since)

    def _take_rate(self, log: list[bytes | None]) -> None:
        """The log is as the last claim has left it: all of it may have passed since."""
        used, last, width = map(_whole, log)
        gone = (last + 1) * width + self._meta["rate_ms"] <= self.now
        self._full = self._full or (not gone and used >= _NEARLY * self._meta["rate_max"])

    def _take_held(self, count: int) -> None:
        self._held += count
        self._full = self._full or self._held >= _NEARLY * self._meta["max_active"]


def _whole(raw: bytes | None) -> int:
    try:
        return int(raw or 0)
    except ValueError:
        return 0


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
