"""The facts that `jobd.core.why` explains a job by: one job and its queue, at one instant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from jobd.broker.connection import Client, place_of, translated
from jobd.broker.keys import QueueKeys
from jobd.broker.replies import read_number
from jobd.broker.store import store_ms
from jobd.broker.together import read_together
from jobd.broker.views import JobInfo, Views
from jobd.core.tally import UNRUN
from jobd.core.why_facts import Busy, JobFacts, QueueFacts

_LOOKS = 5  # a job may move between two reads
_SHOWN = 3
_MINUTES = 3
_MINUTE_MS = 60_000
_NO_TIME = 253_402_300_800_000  # ms; what lies behind the year 9999 was not written by a clock
_WINDOW_MS = 30_000  # of remembered ids; see _prelude.lua


class Asking(NamedTuple):
    """What was found out."""

    job: JobFacts
    queue: QueueFacts


class WhyFacts:
    """Reads the facts about jobs of one queue. `now` is a store time in ms (tests); None asks Redis."""

    def __init__(
        self, client: Client, namespace: str, queue: str, *, now: int | None = None
    ) -> None:
        self._client = client
        self._place = place_of(client)
        self._queue = queue
        self._keys = QueueKeys(namespace, queue)
        self._views = Views(client, namespace, now=now)
        self._now = now

    def read(self, job_id: str) -> Asking | None:
        """Read a job and its queue; None when it is not recorded."""
        for look in range(_LOOKS):
            info = self._views.info(self._queue, job_id)
            if info is None:
                return None
            facts, is_there = self._read_queue(info)
            if is_there or look == _LOOKS - 1:
                return Asking(msgspec.convert(info, JobFacts, from_attributes=True), facts)
        return None

    def read_queue(self) -> QueueFacts:
        """Read what concerns the queue alone."""
        return self._read_queue(JobInfo(id="", queue=self._queue, task="", state=""))[0]

    def is_remembered(self, job_id: str) -> bool:
        """Tell whether a job of this id has ended and was removed within the last minute or so."""
        window = self._time() // _WINDOW_MS
        with translated(self._place):
            pipe = self._client.pipeline(transaction=False)
            for back in range(3):
                pipe.sismember(f"{self._keys.recent_prefix}{window - back}", job_id)
            return any(found is True or found == 1 for found in pipe.execute(raise_on_error=False))

    def _time(self) -> int:
        return store_ms(self._client) if self._now is None else self._now

    def _read_queue(self, info: JobInfo) -> tuple[QueueFacts, bool]:
        """Read all that concerns the queue; say whether the job was still where it had been found."""
        keys = self._keys
        now, flow = self._time(), self._views.flow(self._queue)
        with translated(self._place):
            leases: list[Any] = self._client.zrange(keys.leases, 0, -1, withscores=True)

            def ask(pipe: Any) -> None:
                pipe.zscore(getattr(keys, info.state, keys.waiting), info.id)
                pipe.zrank(keys.waiting, info.id)
                pipe.zcard(keys.waiting)
                pipe.hget(keys.meta, "slots")
                for back in range(_MINUTES):
                    pipe.hgetall(f"{keys.minute_prefix}{now // _MINUTE_MS - back}")
                for name, _ in leases:
                    pipe.hgetall(keys.held(_text(name)))

            replies = read_together(self._client, ask)
        score, rank, waiting, said = replies[:4]
        minutes, held = replies[4 : 4 + _MINUTES], replies[4 + _MINUTES :]
        alive = {_text(name): _time_of(until) for name, until in leases}
        hands = [
            (name, job, read_number(claim))
            for (name, until), jobs in zip(alive.items(), held, strict=True)
            if isinstance(jobs, dict) and until >= 0
            for job, claim in jobs.items()
        ]
        slots = max(1, _number(said) or 1)
        idle = sum(
            until > now and isinstance(jobs, dict) and len(jobs) < slots
            for until, jobs in zip(alive.values(), held, strict=True)
        )
        facts = QueueFacts(
            now=now,
            waiting=waiting if isinstance(waiting, int) else 0,
            ahead=rank if isinstance(rank, int) else None,
            leases=alive,
            slots=slots,
            idle=idle,
            active=len(hands),
            busy=self._busy(hands, info.id),
            pace=_pace(minutes, now),
            paused_since=flow.paused_at,
            paused_why=flow.paused_why or None,
            task_paused=info.task in flow.paused_tasks,
            task_resuming=info.task in flow.resuming,
            held_until=flow.throttled_until,
            held_by=flow.throttled_by,
            max_active=flow.max_active or None,
            rate=(flow.rate_max, flow.rate_ms) if flow.rate_max else None,
            rate_opens_at=flow.rate_free_at,
        )
        here = isinstance(score, int | float) or info.id in {_text(job) for _, job, _ in hands}
        return facts, here

    def _busy(self, hands: list[tuple[str, bytes, int]], job_id: str) -> list[Busy]:
        """Name what the workers have had in hand for longest, and the job itself if it is there."""
        longest = sorted(hands, key=lambda hand: (_text(hand[1]) != job_id, hand[2]))[:_SHOWN]
        if not longest:
            return []
        with translated(self._place):
            pipe = self._client.pipeline(transaction=False)
            for _, job, _ in longest:
                pipe.hget(self._keys.job(_text(job)), "task")
            tasks = pipe.execute(raise_on_error=False)
        return [
            # A claim number is the time of the claim, but for data loss: see claim.lua.
            Busy(
                worker=name, job=_text(job), claim=claim, since=claim // 1024 or None,
                task=_text(task) if isinstance(task, bytes) else "?",
            )
            for (name, job, claim), task in zip(longest, tasks, strict=True)
        ]  # fmt: skip


def _pace(minutes: Iterable[object], now: int) -> float | None:
    """Give how many jobs a second have ended, or gone back, since the first of these minutes."""
    counts = [
        sum(_number(n) or 0 for word, n in each.items() if word != UNRUN.encode())
        if isinstance(each, dict)
        else 0
        for each in minutes
    ]
    busy = [back for back, count in enumerate(counts) if count]
    if not busy:
        return None
    span = now % _MINUTE_MS + max(busy) * _MINUTE_MS
    return sum(counts) / max(span, 1000) * 1000


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _time_of(score: float) -> int:
    """Read the end of a lease; 0, as of one that is closed, for what is no time."""
    return int(score) if abs(score) < _NO_TIME else 0


def _number(raw: object) -> int | None:
    try:
        return int(float(raw)) if isinstance(raw, bytes) else None
    except (ValueError, OverflowError):
        return None
