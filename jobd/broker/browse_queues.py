"""Queues and their tasks as a dashboard shows them: counts, what holds them back, how they get on.

Cost is of the number of queues, tasks and workers, never of jobs: a handful of round trips. Minutes that
are over do not change and are remembered; so are some sums of a while ago, because counters that only
grow say how it goes now only beside what they were.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from threading import Lock
from typing import Any, NamedTuple

import msgspec

from jobd.broker.backlog import Backlog, Backlogs
from jobd.broker.connection import Client, place_of, translated
from jobd.broker.flow import Flow, read_flow
from jobd.broker.keys import QueueKeys
from jobd.broker.overview import overview
from jobd.broker.store import store_ms
from jobd.broker.tally_past import Before, Past
from jobd.core.spread import Spread, since, spread_of
from jobd.core.tally import QueueTally, TaskTally, bad_runs, come_since, read_tally

MINUTES = 60
"""Of so many minutes, the one that runs among them, a row tells how many runs ended."""
RATE_MINUTES = 5
"""Throughput and error rate are of so many minutes that are over, and the one that runs."""

_MINUTE_MS = 60_000
_GOOD = "completed"
# Spreads are of the last five minutes, where somebody looked then; sums are kept so often.
_SPREAD_MS, _KEPT_EVERY_MS, _SHORTEST_MS = 300_000, 15_000, 30_000


class QueueRow(msgspec.Struct, frozen=True, kw_only=True):
    """One queue. `due`: jobs that could run now, of which the oldest waits for `oldest` seconds.

    `completed` and `failed`: runs that ended well and badly, by the minute, the one that runs last; it
    began at `minute_at`, ms. `throughput`: jobs completed a second, `error_rate`: bad ends of all, 0 to 1;
    None where nothing ended. `parked`: how often a job was set aside in the last two minutes because no
    worker knows its task. `wait` and `run` are of the last `spread_for` seconds, some minutes or about an
    hour; None: of all time.
    """

    name: str
    counts: dict[str, int]
    due: int
    oldest: float
    paused: bool
    limited: bool
    flow: Flow
    workers: int
    hosts: int
    minute_at: int
    completed: list[int]
    failed: list[int]
    throughput: float
    error_rate: float | None
    parked: int
    wait: Spread
    run: Spread
    spread_for: float | None


class TaskRow(msgspec.Struct, frozen=True, kw_only=True):
    """One task of a queue, since its first job. `outcomes` are counts by the words of core/tally.py, and
    `failed_runs` are the bad runs, as it says what those are.

    `lately`, `wait_lately` and `run_lately` are of the last `lately_for` seconds, about an hour; None where
    nobody was there to keep what was before.
    """

    name: str
    paused: bool
    resuming: bool
    outcomes: dict[str, int]
    failed_runs: int
    wait: Spread
    run: Spread
    mean_wait_ms: float | None
    mean_run_ms: float | None
    lately: dict[str, int] = {}
    failed_runs_lately: int = 0
    wait_lately: Spread = Spread()
    run_lately: Spread = Spread()
    mean_wait_lately_ms: float | None = None
    mean_run_lately_ms: float | None = None
    lately_for: float | None = None


class _Sums(NamedTuple):
    """A queue's histograms at one instant, all tasks together."""

    at: int
    wait: list[int]
    run: list[int]


class _Said(NamedTuple):
    """What is asked of a queue beside its counts, flow and backlog; `before`: how its tally stood then."""

    workers: int
    tally: QueueTally
    before: Before | None


class QueueBrowser:
    """Reads rows of queues, from several threads. `now` injects a store time in ms for tests."""

    def __init__(self, client: Client, namespace: str, *, now: int | None = None) -> None:
        self._client = client
        self._namespace = namespace
        self._now = now
        self._lock = Lock()
        self._past: dict[str, dict[int, dict[str, int]]] = {}
        self._sums: dict[str, deque[_Sums]] = {}
        self._kept = Past(client, namespace)

    def rows(
        self, queues: Iterable[str] | None = None, *, now: int | None = None
    ) -> list[QueueRow]:
        """Read these queues, in their order; None: all, by name. Raises BrokerError."""
        now = now or self._now or store_ms(self._client)
        counts, flows = overview(self._client, self._namespace, queues)
        names = list(counts)
        backlogs = Backlogs(self._client, self._namespace, now=now).read(names)
        minutes = self._minutes(names, now // _MINUTE_MS)
        said = self._said(names, now)
        return [
            self._row(name, counts[name], flows[name], backlogs[name], said[name], minutes[name], now)
            for name in names
        ]  # fmt: skip

    def tasks(self, queue: str) -> list[TaskRow]:
        """Read the tasks of which something has ended in a queue, by name. Raises BrokerError."""
        flow = read_flow(self._client, self._namespace, queue, now=self._now)
        now = self._now or store_ms(self._client)
        _, tally, before = self._said([queue], now)[queue]
        known = tally.tasks | {
            name: TaskTally()
            for name in (*flow.paused_tasks, *flow.resuming)
            if name not in tally.tasks
        }
        return [_task_row(name, known[name], flow, before, now) for name in sorted(known)]

    def _said(self, queues: list[str], now: int) -> dict[str, _Said]:
        with translated(place_of(self._client)):
            pipe: Any = self._client.pipeline(transaction=False)
            for queue in queues:
                keys = QueueKeys(self._namespace, queue)
                pipe.zcount(keys.leases, f"({now}", "+inf")
                pipe.hgetall(keys.tally)
            replies = pipe.execute(raise_on_error=False) if queues else []
        kept = self._kept.read(queues, now)
        return {
            queue: _Said(
                workers if isinstance(workers, int) else 0,
                read_tally(tally if isinstance(tally, dict) else {}),
                kept.get(queue),
            )
            for queue, workers, tally in zip(queues, replies[::2], replies[1::2], strict=True)
        }

    def _minutes(self, queues: list[str], this: int) -> dict[str, list[dict[str, int]]]:
        """Read the last minutes of each queue, the one that runs last."""
        span = range(this - MINUTES + 1, this + 1)
        with self._lock:
            found = {queue: dict(self._past.get(queue, {})) for queue in queues}
        wanted = [(q, m) for q in queues for m in span if m == this or m not in found[q]]
        with translated(place_of(self._client)):
            pipe: Any = self._client.pipeline(transaction=False)
            for queue, minute in wanted:
                pipe.hgetall(f"{QueueKeys(self._namespace, queue).minute_prefix}{minute}")
            replies = pipe.execute(raise_on_error=False) if wanted else []
        for (queue, minute), reply in zip(wanted, replies, strict=True):
            found[queue][minute] = _counts(reply)
        with self._lock:
            for queue, minutes in found.items():
                self._past[queue] = {minute: minutes[minute] for minute in span if minute < this}
        return {queue: [found[queue][minute] for minute in span] for queue in queues}

    def _row(
        self, name: str, counts: dict[str, int], flow: Flow, backlog: Backlog, said: _Said,
        minutes: list[dict[str, int]], now: int,
    ) -> QueueRow:  # fmt: skip
        completed = [each.get(_GOOD, 0) for each in minutes]
        failed = [bad_runs(each) for each in minutes]
        lately = slice(-RATE_MINUTES - 1, None)
        good, bad = sum(completed[lately]), sum(failed[lately])
        seconds = RATE_MINUTES * 60 + now % _MINUTE_MS / 1000
        wait, run, spread_for = self._spreads(name, said, now)
        return QueueRow(
            name=name,
            counts=counts,
            due=backlog.due,
            oldest=backlog.oldest,
            paused=backlog.paused,
            limited=backlog.limited,
            flow=flow,
            workers=said.workers,
            hosts=backlog.hosts if said.workers else 0,
            minute_at=now - now % _MINUTE_MS,
            completed=completed,
            failed=failed,
            throughput=round(good / seconds, 4),
            error_rate=round(bad / (good + bad), 4) if good + bad else None,
            parked=sum(each.get("parked", 0) for each in minutes[-2:]),
            wait=wait,
            run=run,
            spread_for=spread_for,
        )

    def _spreads(self, name: str, said: _Said, now: int) -> tuple[Spread, Spread, float | None]:
        """Spread what has come since the sums of some minutes ago, or else since what a keeper kept; all of
        it, where there is neither."""
        sums = _sums_of(said.tally, now)
        with self._lock:
            kept = self._sums.setdefault(name, deque())
            while len(kept) > 1 and kept[1].at <= now - _SPREAD_MS:
                kept.popleft()
            before = kept[0] if kept and _is_usable(kept[0], now) else None
            if not kept or now - kept[-1].at >= _KEPT_EVERY_MS:
                kept.append(sums)
        if before is None and said.before and now - said.before.at >= _SPREAD_MS:
            before = _sums_of(said.before.tally, said.before.at)
        if before is None:
            return spread_of(sums.wait), spread_of(sums.run), None
        wait, run = since(sums.wait, before.wait), since(sums.run, before.run)
        return spread_of(wait), spread_of(run), (now - before.at) / 1000


def _is_usable(sums: _Sums, now: int) -> bool:
    """Whether a span begins there that says something, and is of now: nobody may have looked for long."""
    return _SHORTEST_MS <= now - sums.at <= 2 * _SPREAD_MS


def _sums_of(tally: QueueTally, now: int) -> _Sums:
    whole = TaskTally()
    for task in tally.tasks.values():
        whole.add(task)
    return _Sums(now, whole.wait, whole.run)


def _task_row(name: str, tally: TaskTally, flow: Flow, before: Before | None, now: int) -> TaskRow:
    mean_wait, mean_run = _means(tally)
    lately = TaskTally() if before is None else come_since(tally, before.tally.tasks.get(name))
    mean_wait_lately, mean_run_lately = _means(lately)
    return TaskRow(
        name=name,
        paused=name in flow.paused_tasks,
        resuming=name in flow.resuming,
        outcomes=tally.outcomes,
        failed_runs=tally.bad,
        wait=spread_of(tally.wait),
        run=spread_of(tally.run),
        mean_wait_ms=mean_wait,
        mean_run_ms=mean_run,
        lately=lately.outcomes,
        failed_runs_lately=lately.bad,
        wait_lately=spread_of(lately.wait),
        run_lately=spread_of(lately.run),
        mean_wait_lately_ms=mean_wait_lately,
        mean_run_lately_ms=mean_run_lately,
        lately_for=None if before is None else (now - before.at) / 1000,
    )


def _means(tally: TaskTally) -> tuple[float | None, float | None]:
    """Give the mean wait and run, ms, which are exact: of them the sums are kept, too."""
    waited, ran = sum(tally.wait), sum(tally.run)
    return (
        round(tally.wait_ms / waited, 3) if waited else None,
        round(tally.run_us / 1000 / ran, 3) if ran else None,
    )


def _counts(reply: Any) -> dict[str, int]:
    """Read a minute's hash. Whatever a stranger has put in its place counts for nothing."""
    if not isinstance(reply, dict):
        return {}
    return {
        outcome.decode("utf-8", "replace"): int(n)
        for outcome, n in reply.items()
        if n.isdigit() and len(n) < 16
    }
