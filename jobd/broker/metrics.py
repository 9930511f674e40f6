"""What Redis knows, as metrics want it: counts, backlog and tallies of all queues.

Cost is of the number of queues, tasks and workers, never of jobs: for any number of queues a handful of
round trips, with `7 + workers` commands a queue and those of jobd.broker.backlog. It writes only where a
task is seen for the first time (lua/own_series.lua).
"""

from __future__ import annotations

from typing import Any

import msgspec

from jobd.broker.backlog import Backlog, Backlogs
from jobd.broker.connection import Client, place_of, run, translated
from jobd.broker.keys import QueueKeys, SharedKeys
from jobd.broker.scripts import SCRIPTS
from jobd.core.errors import BrokerError, BrokerUnavailable
from jobd.core.names import is_name
from jobd.core.states import STATES
from jobd.core.tally import QueueTally, TaskTally, read_tally, shown, without_own

# Of a queue so many tasks have series of their own.
MOST_TASKS = 200
_BITE = 500  # as many tasks are asked for in one call
_CONTAINERS = ("waiting", "delayed", "completed", "dead", "cancelled")
_EACH = len(_CONTAINERS) + 2


class QueueFigures(msgspec.Struct, kw_only=True):
    """One queue. `workers`: how many have a lease in force, on all hosts together."""

    counts: dict[str, int]
    workers: int
    backlog: Backlog
    tasks: dict[str, TaskTally]
    leases_expired: int


class StoreFigures(msgspec.Struct, kw_only=True):
    """All queues, and how much memory the server has used, in bytes; None where it does not say."""

    queues: dict[str, QueueFigures]
    memory: int | None
    memory_limit: int | None


def read_figures(
    client: Client, namespace: str, *, most_tasks: int = MOST_TASKS, now: int | None = None
) -> StoreFigures:
    """Read everything. Raises BrokerError.

    `now` injects a store time in ms for tests.
    """
    reader = _Reader(client, namespace, most_tasks)
    names, memory = reader.first()
    looks = reader.each(names)
    backlogs = Backlogs(client, namespace, now=now).read(names)
    return StoreFigures(
        queues={name: looks[name].figures(backlogs[name]) for name in names},
        memory=_whole(memory.get("used_memory")),
        memory_limit=_whole(memory.get("maxmemory")),
    )


class _Look(msgspec.Struct):
    """What is known of one queue."""

    counts: dict[str, int]
    leases: list[str]
    workers: int
    tally: QueueTally
    others: list[str] = []

    def figures(self, backlog: Backlog) -> QueueFigures:
        return QueueFigures(
            counts=self.counts,
            workers=self.workers,
            backlog=backlog,
            tasks=shown(self.tally, self.others),
            leases_expired=self.tally.leases_expired,
        )


class _Reader:
    """The round trips, in their order."""

    def __init__(self, client: Client, namespace: str, most_tasks: int) -> None:
        self._client = client
        self._namespace = namespace
        self._most = most_tasks
        self._place = place_of(client)
        self._now = 0

    def first(self) -> tuple[list[str], dict[str, Any]]:
        pipe = self._pipe()
        pipe.smembers(SharedKeys(self._namespace).queues)
        pipe.time()
        pipe.info("memory")
        with translated(self._place):
            members, time, memory = pipe.execute(raise_on_error=False)
            for needed in (members, time):
                if isinstance(needed, Exception):
                    raise needed
        self._now = int(time[0]) * 1000 + int(time[1]) // 1000
        # Whatever else a stranger put there names no queue.
        names = sorted(name.decode() for name in members if is_name(name))
        return names, memory if isinstance(memory, dict) else {}

    def each(self, names: list[str]) -> dict[str, _Look]:
        replies = self._ask_each(names)
        looks = {
            name: self._look(replies[at * _EACH : (at + 1) * _EACH])
            for at, name in enumerate(names)
        }
        self._count_held(looks)
        for name, look in looks.items():
            if new := without_own(look.tally):
                self._give_own(name, look, new)
        return looks

    def _ask_each(self, names: list[str]) -> list[Any]:
        pipe = self._pipe()
        for name in names:
            keys = QueueKeys(self._namespace, name)
            for container in _CONTAINERS:
                pipe.zcard(getattr(keys, container))
            pipe.zrange(keys.leases, 0, -1, withscores=True)
            pipe.hgetall(keys.tally)
        return self._execute(pipe) if names else []

    def _look(self, replies: list[Any]) -> _Look:
        waiting, delayed, completed, dead, cancelled = map(_count, replies[: len(_CONTAINERS)])
        leases, tally = replies[len(_CONTAINERS) :]
        rows = leases if isinstance(leases, list) else []
        numbers = (waiting, delayed, 0, completed, dead, cancelled)
        return _Look(
            counts=dict(zip(STATES, numbers, strict=True)),
            leases=[worker.decode("utf-8", "replace") for worker, _ in rows],
            workers=sum(until > self._now for _, until in rows),
            tally=read_tally(tally if isinstance(tally, dict) else {}),
        )

    def _count_held(self, looks: dict[str, _Look]) -> None:
        """Count what workers hold: each lease has a hash of its own."""
        pipe = self._pipe()
        owners = []
        for name, look in looks.items():
            keys = QueueKeys(self._namespace, name)
            for incarnation in look.leases:
                pipe.hlen(keys.held(incarnation))
                owners.append(look)
        for look, held in zip(owners, self._execute(pipe) if owners else (), strict=True):
            look.counts["active"] += _count(held)

    def _give_own(self, name: str, look: _Look, new: list[str]) -> None:
        """Let tasks have series, while there is room; the others are counted together.

        Where that cannot be written down they are in neither for now, so that no counter ever moves.
        """
        if len(look.tally.own) >= self._most:
            look.others = new
            return
        keys = QueueKeys(self._namespace, name)
        others = []
        for at in range(0, len(new), _BITE):
            bite = new[at : at + _BITE]
            call = SCRIPTS["own_series"].command([keys.leases, keys.tally], "", self._most, *bite)
            try:
                words = run(self._client, call)
            except BrokerUnavailable:
                raise
            except BrokerError:
                break
            for task, word in zip(bite, words, strict=True):
                if word == b"own":
                    look.tally.own.add(task)
                else:
                    others.append(task)
        look.others = others

    def _pipe(self) -> Any:
        return self._client.pipeline(transaction=False)

    def _execute(self, pipe: Any) -> list[Any]:
        with translated(self._place):
            return list(pipe.execute(raise_on_error=False))


def _count(reply: Any) -> int:
    """Read a count; where a stranger has put something else there is none."""
    return reply if isinstance(reply, int) else 0


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) else None
