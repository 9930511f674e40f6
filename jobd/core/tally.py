"""What a queue's `tally` hash says: the counters and histograms of its tasks, as scripts write them.

    <outcome>|<task>            how often something of that task has ended so (OUTCOMES)
    unrun|<task>                of `dead`: deaths that no run of their own led to
    wait|<task>|<bucket>        runs that began so long after they were due
    run|<task>|<bucket>         runs that took so long
    total|<task>|<bucket>       both together
    wait_ms|<task>              the sum of the waits, ms
    run_us|<task>               the sum of the runs, microseconds
    own|<task>                  this task has series of its own in the metrics (lua/own_series.lua)
    leases_expired              leases that ended because a whole host went away, each once

Bucket b holds spans below 2^b ms, the last one everything longer. Nothing is ever taken away from a
field, whatever becomes of jobs: recycled children, restarts, retention and purges leave them alone, and a
job that an operator has run again counts again when it ends again.

**What an outcome counts.** Each is counted in the script that makes it true, so a job that has finished
and was not settled before its worker died has not been counted, and is when it has run again.

    completed    the job's end: a run returned, and that was accepted
    dead         the job's end: attempts used up, poison, expired, undecodable, corrupt, unknown task ...
    cancelled    the job's end: by somebody's wish, before or in a run; or it made way for another
    failed       a run raised, and the job goes on: it has another attempt
    timeout      a run was ended by its timeout, and the job goes on
    snoozed      a run asked for later (Snooze), at no charge
    throttled    a run asked for the whole queue to wait (Throttle), at no charge
    parked       no worker knows the task; another deployment may. Its task is "?"
    crashed      a run ended with its process; the job is charged, or suspected where several ran
    lost         a worker held the job when its whole host went, or it was fenced
    interrupted  a run was cut short by nobody's fault of its own: a stop, a neighbour's timeout

`put_off`, of a job that crashed again and goes behind the others, is no outcome: its crash was counted.

The first three end a job, once for each time it is brought to life; of the others a job may have many.
The last attempt of a job that dies of it is its death and no `failed` or `timeout`.

**What a bad run is** is said here once (`bad_runs`), for charts, totals, error rates and alerts alike. One
that raised, was ended by its timeout, ended with its process, or was lost with its host; and one of which
the job died. A job that died without a run (`unrun`) is no bad run: it expired, could not be read, nobody
knew its task; or its runs had ended it, and were counted then, as crashed or lost. The counts of a
minute, which has the words and `unrun` as well, mean the same.

**What a histogram counts** is runs whose length is known: that returned, raised (also to be put off, or
after a cancellation), or were ended by their timeout. Those that ended with their process are in no
histogram: nobody knows how long they ran.

Pure. Read by jobd.broker.metrics; written by jobd.worker.figures and the scripts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from jobd.core.names import is_name

LAST_BUCKET = 24
"""2^23 ms is 2.3 hours: that long, or longer."""

UNNAMED = "?"
"""What stands for a task whose name cannot be read, or that no worker knows."""

OTHER = "(other)"
"""What stands for all tasks of a queue that have no series of their own. No task can be called so."""

ENDS = ("completed", "dead", "cancelled")
ALWAYS_SHOWN = ("completed", "dead", "failed")
OUTCOMES = (
    *ENDS, "failed", "timeout", "snoozed", "throttled", "parked", "crashed", "lost", "interrupted",
)  # fmt: skip

UNRUN = "unrun"
"""How many of the dead died without a run; beside the outcomes, not one of them."""
_BAD_RUNS = ("failed", "timeout", "crashed", "lost")

_OUTCOMES = {outcome.encode(): outcome for outcome in OUTCOMES}
_MOST_DIGITS = 19  # of what Redis can count


def _no_buckets() -> list[int]:
    return [0] * (LAST_BUCKET + 1)


class TaskTally(msgspec.Struct):
    """One task's figures. A list has as many numbers as there are buckets."""

    outcomes: dict[str, int] = msgspec.field(default_factory=dict)
    wait: list[int] = msgspec.field(default_factory=_no_buckets)
    run: list[int] = msgspec.field(default_factory=_no_buckets)
    total: list[int] = msgspec.field(default_factory=_no_buckets)
    wait_ms: int = 0
    run_us: int = 0
    unrun: int = 0

    @property
    def bad(self) -> int:
        """How many of its runs were bad."""
        return bad_runs(self.outcomes | {UNRUN: self.unrun})

    def add(self, other: TaskTally) -> None:
        """Add another's figures to these."""
        for outcome, n in other.outcomes.items():
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + n
        for mine, more in (
            (self.wait, other.wait),
            (self.run, other.run),
            (self.total, other.total),
        ):
            for bucket, n in enumerate(more):
                mine[bucket] += n
        self.wait_ms += other.wait_ms
        self.run_us += other.run_us
        self.unrun += other.unrun


def bad_runs(counts: Mapping[str, int]) -> int:
    """Count the bad runs among outcomes, those of a minute or of a task."""
    ran = counts.get("dead", 0) - counts.get(UNRUN, 0)
    return max(0, ran) + sum(counts.get(outcome, 0) for outcome in _BAD_RUNS)


def come_since(now: TaskTally, before: TaskTally | None) -> TaskTally:
    """Give what has come to a task's figures since they stood so; all of it, where they began anew."""
    if before is None:
        return now
    outcomes = {word: n - before.outcomes.get(word, 0) for word, n in now.outcomes.items()}
    found = TaskTally(
        outcomes={word: n for word, n in outcomes.items() if n},
        wait=_less(now.wait, before.wait),
        run=_less(now.run, before.run),
        total=_less(now.total, before.total),
        wait_ms=max(0, now.wait_ms - before.wait_ms),
        run_us=max(0, now.run_us - before.run_us),
        unrun=max(0, now.unrun - before.unrun),
    )
    least = min((*found.outcomes.values(), *found.wait, *found.run, *found.total))
    return now if least < 0 else found


def _less(now: list[int], before: list[int]) -> list[int]:
    return [a - b for a, b in zip(now, before, strict=True)]


class QueueTally(msgspec.Struct):
    """A queue's figures by task, and which of the tasks have series of their own."""

    tasks: dict[str, TaskTally] = msgspec.field(default_factory=dict)
    own: set[str] = msgspec.field(default_factory=set)
    leases_expired: int = 0

    def jobs(self, task: str) -> int:
        """How many jobs of a task have ended."""
        return sum(self.tasks[task].outcomes.get(outcome, 0) for outcome in ENDS)


def read_tally(raw: Mapping[bytes, bytes]) -> QueueTally:
    """Read the hash. What a stranger has put there, by whatever name, counts for nothing."""
    found = QueueTally()
    names: dict[bytes, TaskTally | None] = {}
    for field, value in raw.items():
        parts = field.split(b"|")
        number = _number(value)
        if field == b"leases_expired":
            found.leases_expired = number
        if len(parts) not in (2, 3) or not number:
            continue
        task = parts[1]
        if task not in names:
            names[task] = _task(found, task)
        tally = names[task]
        if tally is not None:
            _take(found, tally, parts, number)
    return found


def _task(found: QueueTally, raw: bytes) -> TaskTally | None:
    if raw != UNNAMED.encode() and not is_name(raw):
        return None
    return found.tasks.setdefault(raw.decode(), TaskTally())


def _take(found: QueueTally, tally: TaskTally, parts: list[bytes], number: int) -> None:
    match parts:
        case [b"own", task]:
            found.own.add(task.decode())
        case [b"wait_ms", _]:
            tally.wait_ms = number
        case [b"run_us", _]:
            tally.run_us = number
        case [b"unrun", _]:
            tally.unrun = number
        case [kind, _] if kind in _OUTCOMES:
            tally.outcomes[_OUTCOMES[kind]] = number
        case [b"wait" | b"run" | b"total" as kind, _, bucket]:
            at = _number(bucket)
            if bucket.isdigit() and at <= LAST_BUCKET:
                getattr(tally, kind.decode())[at] = number


def _number(raw: bytes) -> int:
    return int(raw) if len(raw) <= _MOST_DIGITS and raw.isdigit() else 0


def without_own(tally: QueueTally) -> list[str]:
    """List the tasks that have no series of their own yet, those with most jobs first."""
    new = [task for task in tally.tasks if task not in tally.own and task != UNNAMED]
    return sorted(new, key=lambda task: (-tally.jobs(task), task))


def shown(tally: QueueTally, others: Iterable[str]) -> dict[str, TaskTally]:
    """Give what has series: tasks of their own, and `others` in one. Who is in neither is left out."""
    own = {t: figures for t, figures in tally.tasks.items() if t in tally.own or t == UNNAMED}
    rest: TaskTally | None = None
    for task in others:
        rest = rest or TaskTally()
        rest.add(tally.tasks[task])
    return own if rest is None else own | {OTHER: rest}
