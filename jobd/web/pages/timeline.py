"""What a job went through, as lines in the order of time: made of what its record says of itself. Pure.

A line of the history may say anything, for anybody may have written it: what cannot be read is not
there. Called by jobd.web.pages.job.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from jobd.broker.timeline import next_number, numbered
from jobd.broker.views import JobInfo
from jobd.core.states import ACTIVE, CANCELLED, COMPLETED, DEAD, DEAD_CAUSES, DELAYED, WAITING

# What ended a run, by the word that its line has; and whether that was bad, a pity, or neither.
ENDED = {
    "failed": ("failed", "error"),
    "soft_timeout": ("timed out, and was told so", "error"),
    "timeout": ("timed out: its process was ended", "error"),
    "discarded": ("was discarded by its task", "error"),
    "crash": ("crashed its process", "error"),
    "memory": ("used too much memory: its process was ended", "error"),
    "oom": ("was ended by the system for want of memory", "error"),
    "hung": ("let its process hang: that was ended", "error"),
    "lost": ("was lost with its host or worker", "warning"),
    "fenced": ("was lost: its worker had lost its lease", "warning"),
    "boot": ("was interrupted as its worker began", "warning"),
    "recycled": ("was interrupted as its worker was replaced", "warning"),
    "stopped": ("was interrupted by a stop", "warning"),
    "interrupted": ("was interrupted for a neighbour in its process", "warning"),
    "cancelled": ("was cancelled while it ran", ""),
    # These tell of no run.
    "retried": ("put back in line by hand", ""),
    "replaced": ("made way for another job", ""),
}
_LARGEST = 2**53  # of our numbers
_CLAIM = 1024  # a claim's number is its instant in ms, times this, or larger by a little


class AtWork(NamedTuple):
    """Where a run goes on: the host's name and key, and the slot."""

    host: str
    key: str
    slot: str


class Step(NamedTuple):
    """One line. `number` counts runs; times are ms since 1970. `level` is error, warning, good or "".

    `began`: when the run was begun, or its job claimed; `unsaid` is which of its times nothing records.
    `facts` is what else its line says.
    """

    key: str
    what: str
    level: str
    at: int | None = None
    number: int | None = None
    began: int | None = None
    ran_ms: int | None = None
    worker: str = ""
    host: str = ""
    at_work: AtWork | None = None
    error: str = ""
    traceback: str = ""
    note: str = ""
    unsaid: str = ""
    facts: tuple[tuple[str, str], ...] = ()


_SHOWN = frozenset(
    {"kind", "at", "worker", "host", "token", "ran_ms", "error", "traceback", "note"}
)


def timeline(job: JobInfo, claimed_at: int | None, at_work: AtWork | None = None) -> list[Step]:
    """Tell all of it, the first thing first. `claimed_at`: since when the run that goes on has it, and
    `at_work` where that is, as far as it is known."""
    steps = [Step("added", "added", "", job.enqueued_at)]
    for at, (number, line) in enumerate(zip(numbered(job), job.history, strict=True)):
        steps.append(_of_line(f"line-{at}", line, number))
    return [*steps, *_now(job, next_number(job), claimed_at, at_work)]


def _of_line(key: str, line: Mapping[str, Any], number: int | None) -> Step:
    kind = _word(line, "kind")
    what, level = ENDED.get(kind, (kind or "an entry that says nothing", ""))
    at, ran_ms, claim = (_whole(line, name) for name in ("at", "ran_ms", "token"))
    claimed_at = None if claim is None else claim // _CLAIM
    began = at - ran_ms if at is not None and ran_ms is not None else claimed_at
    return Step(
        key, what, level, at, number, began, ran_ms,
        worker=_word(line, "worker"), host=_word(line, "host"),
        error=_word(line, "error"), traceback=_word(line, "traceback"), note=_word(line, "note"),
        facts=tuple((name, str(value)) for name, value in line.items() if name not in _SHOWN),
    )  # fmt: skip


def _now(job: JobInfo, run: int, claimed_at: int | None, at_work: AtWork | None) -> Iterator[Step]:
    """Tell how it stands: what goes on, what comes next, how it ended. `run`: the number of the run after those told of."""
    if job.cancel_asked_at is not None and job.state == ACTIVE:
        yield Step("asked", "asked to end", "warning", job.cancel_asked_at)
    match job.state:
        case s if s == ACTIVE:
            yield Step(
                "now", "runs", "", None, run, claimed_at,
                worker=job.worker or "", at_work=at_work,
            )  # fmt: skip
        case s if s == DELAYED and job.task_paused:
            yield Step("now", "set aside until its task is resumed", "warning")
        case s if s == DELAYED and job.parked_since is not None:
            what = "set aside: no worker has known its task"
            yield Step("now", what, "warning", began=job.parked_since)
        case s if s == DELAYED:
            yield Step("now", "due" if run == 1 else "due again", "", job.due_at)
        case s if s == WAITING:
            yield Step("now", "waits for a worker", "")
        case s if s == COMPLETED:
            yield _completed(job, run)
        case s if s == DEAD:
            cause = job.cause or "?"
            why = DEAD_CAUSES.get(cause, "of another version of jobd")
            yield Step("now", "died", "error", job.finished_at, note=f"{cause}: {why}")
        case s if s == CANCELLED:
            yield Step("now", "cancelled", "", job.finished_at)


def _completed(job: JobInfo, number: int) -> Step:
    ran, at = job.ran, job.finished_at
    if ran is None:  # a quick run leaves no line of its own: that would cost each job something
        claim = _last_claim(job)
        unsaid = "how long it ran" if claim else "when it began, and how long it ran"
        return Step("now", "completed", "good", at, number, claim, unsaid=unsaid)
    return Step(
        "now", "completed", "good", at, number,
        began=None if at is None else at - ran.ms, ran_ms=ran.ms, worker=ran.slot, host=ran.host,
    )  # fmt: skip


def _last_claim(job: JobInfo) -> int | None:
    """Say when the last run was claimed, where it said anything: that carries the number of its claim."""
    claims = [line.token for line in job.logs[-1:]]
    claims += [] if job.progress is None else [job.progress.token]
    before = max((_whole(line, "token") or 0 for line in job.history), default=0)
    last = max(claims, default=0)
    return last // _CLAIM if last > before else None


def _word(line: Mapping[str, Any], name: str) -> str:
    value = line.get(name)
    return value if isinstance(value, str) else ""


def _whole(line: Mapping[str, Any], name: str) -> int | None:
    value = line.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if abs(value) <= _LARGEST else None
