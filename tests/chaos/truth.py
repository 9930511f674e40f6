"""What became of every job of a queue, by the jobs' own records: nothing that jobd has added up."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

CONTAINERS = ("waiting", "delayed", "completed", "dead", "cancelled")
CRASHES = ("crash", "memory", "oom", "hung")
# What a record counts, and the outcome that is counted with it.
COUNTERS = {
    "failed": "failed", "lost": "lost", "interrupted": "interrupted", "snoozed": "snoozed",
    "throttled": "throttled",
}  # fmt: skip
FIELDS = ("task", "history", "result", "cause", *COUNTERS)
BITE = 2000


@dataclass
class Record:
    """One job. `settled` are the claims whose runs stand in its history with how long they took."""

    id: str
    task: str
    state: str
    result: int | None
    notes: list[dict[str, Any]]

    @property
    def settled(self) -> list[int]:
        return [note["token"] for note in self.notes if "ran_ms" in note]

    def tokens(self, *kinds: str) -> list[int]:
        """The claims of the notes of these kinds."""
        return [note["token"] for note in self.notes if note["kind"] in kinds]


@dataclass
class Truth:
    """All of a queue. `outcomes` is by task and outcome, `runs` by task: those of known length."""

    records: dict[str, Record] = field(default_factory=dict)
    states: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)


def read(client: Any, queue: str) -> Truth:
    """Read all records. The queue is at rest."""
    root = f"jobd:{{{queue}}}:"
    truth = Truth()
    for state in CONTAINERS:
        ids = [raw.decode() for raw in client.zrange(root + state, 0, -1)]
        truth.states[state] = len(ids)
        for at in range(0, len(ids), BITE):
            pipe = client.pipeline(transaction=False)
            bite = ids[at : at + BITE]
            for job in bite:
                pipe.hmget(f"{root}job:{job}", FIELDS)
            for job, raw in zip(bite, pipe.execute(), strict=True):
                _take(truth, job, state, dict(zip(FIELDS, raw, strict=True)))
    for lease in client.zrange(root + "leases", 0, -1):
        truth.states["active"] += client.hlen(f"{root}held:{lease.decode()}")
    return truth


def _take(truth: Truth, job: str, state: str, raw: dict[str, Any]) -> None:
    task = raw["task"].decode()
    notes = json.loads(raw["history"] or "[]")
    result = None if raw["result"] is None else int(raw["result"])
    record = truth.records[job] = Record(job, task, state, result, notes)
    # An operator who has a job run again makes its counters anew; a note says what they were.
    earlier = [note for note in notes if note["kind"] == "retried"]
    counted = {
        name: int(raw[name] or 0) + sum(note.get(name, 0) for note in earlier) for name in COUNTERS
    }
    causes = [note.get("cause") for note in earlier]
    if raw["cause"] is not None:
        causes.append(raw["cause"].decode())
    timeouts = len(record.tokens("timeout"))
    ends = Counter([state, *(note["was"] for note in earlier)])
    here = Counter({outcome: counted[name] for name, outcome in COUNTERS.items()}) + ends
    here["crashed"] += len(record.tokens(*CRASHES))
    # The last attempt of a job that dies of it is its death.
    here["timeout"] += timeouts - causes.count("timeout")
    here["failed"] -= causes.count("failed")
    for outcome, n in here.items():
        truth.outcomes[task, outcome] += n
    completed = ends["completed"]
    put_off = counted["snoozed"] + counted["throttled"]
    truth.runs[task] += completed + len(record.settled) + timeouts + put_off
