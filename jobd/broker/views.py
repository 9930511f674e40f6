"""Reads for people and programs: pipelines, never Lua, never on the worker's hot path."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple, TypeVar

import msgspec

from jobd.broker.connection import Client, place_of, translated
from jobd.broker.flow import SET_ASIDE, Flow, read_flow
from jobd.broker.keys import QueueKeys, SharedKeys
from jobd.broker.notes import (
    JobLine,
    JobProgress,
    read_dropped,
    read_log,
    read_progress,
    read_steps,
)
from jobd.broker.together import read_together
from jobd.core.labels import labels_of
from jobd.core.names import is_name
from jobd.core.ran import Ran, read_ran
from jobd.core.states import (
    ACTIVE,
    CANCELLED,
    CLAIM_PER_MS,
    COMPLETED,
    DEAD,
    DELAYED,
    PARKED,
    STATES,
    WAITING,
)
from jobd.core.unreadable import UNREADABLE_JSON

T = TypeVar("T", list[Any], dict[str, Any])

# Fields of the tally that name a task and nothing more.
OUTCOMES = ("completed", "failed", "timeout", "snoozed", "throttled", "dead", "cancelled")
_LOOKS = 5  # a job may move between two reads; so often in a row it does not


class JobInfo(msgspec.Struct, kw_only=True):
    """One job, as recorded. Times are ms since 1970 by Redis' clock."""

    id: str
    queue: str
    task: str
    state: str
    args: Any = None
    group: str | None = None
    meta: dict[str, Any] = msgspec.field(default_factory=dict)
    unique: str | None = None
    priority: int = 5
    options: dict[str, Any] = msgspec.field(default_factory=dict)
    enqueued_at: int | None = None
    due_at: int | None = None
    task_paused: bool = False
    claimed_at: int | None = None
    finished_at: int | None = None
    failed: int = 0
    timeouts: int = 0
    crashes: int = 0
    lost: int = 0
    interrupted: int = 0
    snoozed: int = 0
    throttled: int = 0
    cause: str | None = None
    error: str | None = None
    history: list[dict[str, Any]] = msgspec.field(default_factory=list)
    result: Any = None
    ran: Ran | None = None
    """Of one that completed: its last run, if that has left a line."""
    worker: str | None = None
    parked_since: int | None = None
    cancel_asked_at: int | None = None
    expires_at: int | None = None
    progress: JobProgress | None = None
    logs: list[JobLine] = msgspec.field(default_factory=list)
    logs_dropped: int = 0
    steps: dict[str, Any] = msgspec.field(default_factory=dict)
    """What `job.once` has recorded: the name of each step and its value."""


class Found(NamedTuple):
    """Where a job is: its place there, or who holds it by which claim."""

    state: str | None = None
    score: int | None = None
    worker: str | None = None
    record: dict[str, bytes] = {}  # noqa: RUF012 - never written to
    claim: int | None = None


class Views:
    """Everything that is read about a namespace. `now` injects a store time in ms for tests."""

    def __init__(self, client: Client, namespace: str, *, now: int | None = None) -> None:
        self._client = client
        self._now = now
        self._place = place_of(client)
        self._namespace = namespace

    def queues(self) -> list[str]:
        """Name every queue that was ever added to or served."""
        with translated(self._place):
            names: Any = self._client.smembers(SharedKeys(self._namespace).queues)
        # Whatever else a stranger put there names no queue.
        return sorted(_ids(name for name in names if is_name(name)))

    def counts(self, queue: str) -> dict[str, int]:
        """Count a queue's jobs by state, at one instant."""
        keys = QueueKeys(self._namespace, queue)
        leases = self._leases(keys)
        with translated(self._place):

            def ask(pipe: Any) -> None:
                for state in (WAITING, DELAYED, COMPLETED, DEAD, CANCELLED):
                    pipe.zcard(_container(keys, state))
                for incarnation in leases:
                    pipe.hlen(keys.held(incarnation))

            replies = read_together(self._client, ask)
            if failed := [reply for reply in replies if isinstance(reply, Exception)]:
                raise failed[0]
        waiting, delayed, completed, dead, cancelled, *held = replies
        numbers = (waiting, delayed, sum(held), completed, dead, cancelled)
        return dict(zip(STATES, numbers, strict=True))

    def jobs(self, queue: str, state: str, limit: int = 50) -> list[str]:
        """List ids in one state: what runs next first, what ended last first."""
        keys = QueueKeys(self._namespace, queue)
        with translated(self._place):
            if state == ACTIVE:
                held: list[Any] = [
                    i for lease in self._leases(keys) for i in self._client.hkeys(keys.held(lease))
                ]
                return _ids(held[:limit])
            newest_first = state in (COMPLETED, DEAD, CANCELLED)
            found: Any = self._client.zrange(
                _container(keys, state), 0, limit - 1, desc=newest_first
            )
        return _ids(found)

    def flow(self, queue: str) -> Flow:
        """Read what holds a queue back."""
        return read_flow(self._client, self._namespace, queue, now=self._now)

    def tasks_seen(self, queue: str) -> set[str]:
        """Name the tasks of which a job has ended in this queue."""
        with translated(self._place):
            fields: Any = self._client.hkeys(QueueKeys(self._namespace, queue).tally)
        pairs = (name.partition("|") for name in _ids(fields))
        return {task for kind, _, task in pairs if kind in OUTCOMES and is_name(task.encode())}

    def find(self, job_id: str, queues: list[str] | None = None) -> str | None:
        """Name the queue that records a job, or None."""
        for queue in queues or self.queues():
            with translated(self._place):
                if self._client.exists(QueueKeys(self._namespace, queue).job(job_id)):
                    return queue
        return None

    def state(self, queue: str, job_id: str) -> str | None:
        """Name the one state a job is in, or None when it is not recorded."""
        return self._locate(queue, job_id).state

    def ending(self, queue: str, job_id: str) -> tuple[str | None, dict[str, bytes]]:
        """Read a job's state and raw record together."""
        found = self._locate(queue, job_id)
        return found.state, found.record

    def info(self, queue: str, job_id: str) -> JobInfo | None:
        """Read everything recorded about a job, or None."""
        state, score, worker, record, claim = self._locate(queue, job_id)
        if state is None:
            return None
        priority = _int(record.get("priority"))
        options = _of_kind(dict, _json(record.get("options")))
        group, meta = labels_of(options)
        lock = _text(record.get("unique"))
        set_aside = state == DELAYED and score is not None and score >= SET_ASIDE
        return JobInfo(
            id=job_id,
            queue=queue,
            state=state,
            worker=worker,
            task=_text(record.get("task")) or "?",
            args=_json(record.get("args")),
            group=group,
            meta=meta,
            unique=None if lock is None else lock.partition(" ")[0],
            options={name: options[name] for name in options if name not in ("group", "meta")},
            priority=5 if priority is None else priority,
            enqueued_at=_int(record.get("at")),
            due_at=score if state == DELAYED and not set_aside else None,
            task_paused=set_aside,
            claimed_at=claim // CLAIM_PER_MS if claim else None,
            finished_at=score if state in (COMPLETED, DEAD, CANCELLED) else None,
            failed=_int(record.get("failed")) or 0,
            timeouts=_int(record.get("timeouts")) or 0,
            crashes=_int(record.get("crashes")) or 0,
            lost=_int(record.get("lost")) or 0,
            interrupted=_int(record.get("interrupted")) or 0,
            snoozed=_int(record.get("snoozed")) or 0,
            throttled=_int(record.get("throttled")) or 0,
            cause=_text(record.get("cause")),
            error=_text(record.get("error")),
            history=[_of_kind(dict, run) for run in _of_kind(list, _json(record.get("history")))],
            result=_json(record.get("result")),
            ran=read_ran(record.get("ran")) if state == COMPLETED else None,
            parked_since=_parked(record),
            cancel_asked_at=_int(record.get("cancel")),
            expires_at=_int(record.get("expires")),
            progress=read_progress(record.get("~progress")),
            logs=read_log(record.get("~log")),
            logs_dropped=read_dropped(record.get("~noted")),
            steps=read_steps(record),
        )

    def progress(self, queue: str, job_id: str) -> JobProgress | None:
        """Read what a job last said of its progress, or None."""
        return read_progress(self._fields(queue, job_id, "~progress")[0])

    def notes(self, queue: str, job_id: str) -> tuple[JobProgress | None, list[JobLine], int]:
        """Read a job's progress, its log, and how many lines that has lost."""
        progress, log, noted = self._fields(queue, job_id, "~progress", "~log", "~noted")
        return read_progress(progress), read_log(log), read_dropped(noted)

    def _fields(self, queue: str, job_id: str, *names: str) -> list[bytes | None]:
        key = QueueKeys(self._namespace, queue).job(job_id)
        with translated(self._place):
            pipe = self._client.pipeline(transaction=False)
            pipe.hmget(key, *names)
            [found] = pipe.execute(raise_on_error=False)
        return list(found) if isinstance(found, list) else [None] * len(names)

    def _leases(self, keys: QueueKeys) -> list[str]:
        with translated(self._place):
            members: Any = self._client.zrange(keys.leases, 0, -1)
        return _ids(members)

    def _locate(self, queue: str, job_id: str) -> Found:
        keys = QueueKeys(self._namespace, queue)
        for _ in range(_LOOKS):
            leases = self._leases(keys)
            with translated(self._place):
                ask = partial(_ask_where, keys=keys, job_id=job_id, leases=leases)
                raw, *found = read_together(self._client, ask)
            record = {k.decode(): v for k, v in raw.items()} if isinstance(raw, dict) else {}
            states = (WAITING, DELAYED, COMPLETED, DEAD, CANCELLED)
            for state, score in zip(states, found[:5], strict=True):
                if isinstance(score, int | float):
                    return Found(state, _whole(score), None, record)
            for incarnation, claim in zip(leases, found[5:], strict=True):
                if isinstance(claim, bytes):
                    return Found(ACTIVE, None, incarnation, record, _whole(claim))
            if not record:
                return Found()
        return Found(ACTIVE, None, None, record)


def _ask_where(pipe: Any, keys: QueueKeys, job_id: str, leases: Iterable[str]) -> None:
    pipe.hgetall(keys.job(job_id))
    for state in (WAITING, DELAYED, COMPLETED, DEAD, CANCELLED):
        pipe.zscore(_container(keys, state), job_id)
    for incarnation in leases:
        pipe.hget(keys.held(incarnation), job_id)


def _container(keys: QueueKeys, state: str) -> str:
    name: str = getattr(keys, state)
    return name


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode("utf-8", "replace")


def _ids(raw: Iterable[bytes]) -> list[str]:
    return [name.decode("utf-8", "replace") for name in raw]


def _int(raw: bytes | None) -> int | None:
    return None if raw is None else _whole(raw)


def _parked(record: dict[str, bytes]) -> int | None:
    is_past = not record.get("error", PARKED.encode()).startswith(PARKED.encode())
    return None if is_past else _int(record.get("parked"))


def _whole(raw: bytes | float) -> int | None:
    try:
        return int(float(raw))
    except (ValueError, OverflowError):
        return None


def _of_kind(kind: type[T], value: object) -> T:
    """Give what a record says, and nothing where it says something of another kind."""
    return value if isinstance(value, kind) else kind()


def _json(raw: bytes | None) -> Any:
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw)
    except UNREADABLE_JSON:
        return _text(raw)
