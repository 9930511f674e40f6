"""One queue: how it gets on, what holds it back, its tasks, workers and schedules.

Called by the table of pages; costs a handful of round trips, whatever the number of jobs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from jobd.broker.browse_queues import QueueRow, TaskRow
from jobd.broker.browse_rows import JobRow
from jobd.core.portrait import Host, QueueView, Worker
from jobd.core.spread import Spread
from jobd.core.tally import ENDS, UNNAMED
from jobd.seams.clock import wall_ms
from jobd.web.api.house import House
from jobd.web.api.lists import show_queue
from jobd.web.api.rules import Rule, read_rules
from jobd.web.pages.hosts import Called, called
from jobd.web.pages.overview import has_unknown, is_unserved
from jobd.web.pages.page import Ask, Model, Page, watched

_SHOWN = ("completed", "dead", "cancelled")
PARKED_LOOK = 50
"""Delayed jobs that are looked at for some whose task no worker knows: those are due within seconds."""


class TaskLine(NamedTuple):
    """A task: figures of the last hour where they are known, else since its first job (`in_all`: jobs ended).

    `failed_runs`: bad runs (core/tally.py), `error_rate` their share; `others`: outcomes that have no column,
    and how often. One that `is_named` can be paused and looked for; the unnamed stand for what no worker
    knows.
    """

    row: TaskRow
    outcomes: dict[str, int]
    failed_runs: int
    wait: Spread
    run: Spread
    mean_wait_ms: float | None
    mean_run_ms: float | None
    error_rate: float | None
    others: list[tuple[str, int]]
    in_all: int
    is_named: bool


class WorkerLine(NamedTuple):
    """A worker of the queue: on which host, and since when its job runs, ms."""

    host: Called
    key: str
    worker: Worker
    silent_for: float


class Wanted(NamedTuple):
    """How many workers a host is to have for the queue, how many it has, and why."""

    host: Called
    key: str
    there: int
    view: QueueView


def read(house: House, ask: Ask) -> Model:
    """Read all of it. Raises NoSuchQueue, BrokerError."""
    name = ask.path["queue"]
    shown = show_queue(house, name)
    hosts = house.browser.hosts(within=ask.within)
    return {
        "queue": shown.queue,
        "unserved": is_unserved(shown.queue),
        "firing": list(_firing(read_rules(house).rules, name)),
        "first": _first(house, shown.queue),
        "parked": (parked := _parked(house, shown.queue)),
        "was_parked": not parked and has_unknown(shown.queue),
        "tasks": [task_line(row) for row in shown.tasks],
        "lately_for": next((row.lately_for for row in shown.tasks), None),
        "workers": list(_workers(hosts, name)),
        "wanted": list(_wanted(hosts, name)),
        "schedules": house.browser.schedules(name),
        "now": wall_ms(),
    }


def task_line(row: TaskRow) -> TaskLine:
    """Choose what is shown of a task."""
    is_lately = row.lately_for is not None
    outcomes, bad = row.outcomes, row.failed_runs
    if is_lately:
        outcomes, bad = row.lately, row.failed_runs_lately
    ended = bad + outcomes.get("completed", 0)
    return TaskLine(
        row,
        {word: outcomes.get(word, 0) for word in _SHOWN},
        bad,
        row.wait_lately if is_lately else row.wait,
        row.run_lately if is_lately else row.run,
        row.mean_wait_lately_ms if is_lately else row.mean_wait_ms,
        row.mean_run_lately_ms if is_lately else row.mean_run_ms,
        bad / ended if ended else None,
        [
            ("set aside, times" if word == "parked" else word, n)
            for word, n in outcomes.items()
            if n and word not in _SHOWN
        ],
        sum(row.outcomes.get(word, 0) for word in ENDS),
        row.name != UNNAMED,
    )


def _first(house: House, row: QueueRow) -> JobRow | None:
    """Give the job that runs next."""
    if not row.counts["waiting"]:
        return None
    rows = house.browser.page(row.name, "waiting", limit=1, most=1).rows
    return rows[0] if rows else None


def _parked(house: House, row: QueueRow) -> list[tuple[str, int]]:
    """Count jobs by task that wait for a worker that knows it: at least so many, the most first."""
    if not row.counts["delayed"]:
        return []
    found = house.browser.page(row.name, "delayed", limit=PARKED_LOOK, most=PARKED_LOOK)
    return Counter(each.task for each in found.rows if each.parked).most_common()


def _firing(rules: Sequence[Rule], queue: str) -> Iterator[tuple[Rule, str, int]]:
    """Give what fires about the queue: the rule, what it saw, since when."""
    for rule in rules:
        for seen in rule.instances:
            if seen.state == "firing" and queue in (seen.of, rule.queue):
                yield rule, seen.shown, seen.since


def _workers(hosts: Sequence[Host], queue: str) -> Iterator[WorkerLine]:
    names = called(hosts)
    for host in hosts:
        for worker in host.daemon.workers if host.daemon else ():
            if worker.queue == queue:
                yield WorkerLine(names[host.key], host.key, worker, host.silent_for)


def _wanted(hosts: Sequence[Host], queue: str) -> Iterator[Wanted]:
    names = called(hosts)
    for host in hosts:
        view = host.daemon.queues.get(queue) if host.daemon else None
        if host.daemon and view:
            there = sum(worker.queue == queue for worker in host.daemon.workers)
            yield Wanted(names[host.key], host.key, there, view)


PAGE = watched(Page("/queues/{queue}", "queue", "{queue}", "queue.html", read, "overview"))
