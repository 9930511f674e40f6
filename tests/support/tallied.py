"""Jobs that ended in a given way, a daemon in a given state, and what a scrape says of them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from jobd.broker.commands import Completed, Ending
from jobd.broker.connection import Client
from jobd.broker.new_job import NewJob
from jobd.broker.store import Store, register_queues
from jobd.seams import host, statefile
from jobd.seams.scoreboard import Owner, Scoreboard
from jobd.seams.statefile import SlotState, State
from jobd.web.metrics import Metrics
from support.expositions import Exposition

LEASE = 30_000
NONCE = "n" * 16


def scraped(metrics: Metrics) -> Exposition:
    """Scrape once; the laws hold at every one."""
    found = Exposition(metrics.exposition())
    assert not found.broken_laws()
    return found


def a_store(client: Client, queue: str = "q") -> Store:
    register_queues(client, "t", [queue])
    return Store(client, "t", queue)


def ran(store: Store, *ends: Ending | str, task: str = "t", figures: str = "5|6|7") -> None:
    """Add, claim and settle jobs: a word is the id of one that completes, else it ends so."""
    ids = [end if isinstance(end, str) else end.id.decode() for end in ends]
    store.add([NewJob(job, task, b"{}") for job in ids])
    store.join("n.1", LEASE)
    claim = store.claim("n.1", LEASE, budget_us=50_000, costs=(task, 10))
    store.settle(
        "n.1",
        LEASE,
        completed=[
            Completed(e.encode(), claim.number, f"{task}|{figures}", b"")
            for e in ends
            if isinstance(e, str)
        ],
        endings=[replace(e, claim=claim.number) for e in ends if isinstance(e, Ending)],
    )


def ended(verb: str, job: str, cause: str, task: str = "t", figures: str = "5|6|7") -> Ending:
    return Ending(verb, job.encode(), 0, f"{task}|{figures}", 0, cause, {"failed": 1})


def shares(found: Exposition) -> dict[tuple[str, ...], float]:
    counted = found.by("jobd_jobs_total", "task", "outcome")
    return {key: n for key, n in counted.items() if n}


def gone_down(first: Exposition, later: Exposition) -> dict[Any, float]:
    after = later.counters()
    return {k: v for k, v in first.counters().items() if after.get(k, -1) < v}


def write_state(runtime: Path, *, alive: bool = True, **changes: Any) -> Scoreboard:
    """The files of a daemon whose supervisor is this process; else one that is gone."""
    pid = os.getpid()
    ticks = host.start_ticks(pid)
    owner = Owner(NONCE, pid, ticks if alive else ticks - 1, host.boot_id())
    board = Scoreboard.create(runtime / "board", owner=owner, pages=4)
    fields: dict[str, Any] = {
        "pid": pid, "started_at": 1000.5, "nonce": NONCE, "scoreboard": "board", "helpers": {},
        "queues": {}, "generation": 3,
    }  # fmt: skip
    statefile.write(runtime, State(**(fields | changes)))
    return board


def slot(name: str, phase: str = "running", **changes: Any) -> SlotState:
    return SlotState(slot=name, phase=phase, **changes)
