"""One job: all that is recorded of it, why it is where it is, and what may be done about it.

Everything of it goes on while it is looked at. Called by the table of pages.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from jobd.broker.notes import JobLine
from jobd.broker.views import JobInfo
from jobd.broker.why import Asking, WhyFacts
from jobd.client.operate import VERBS
from jobd.core.names import check_name
from jobd.core.states import ACTIVE, COMPLETED
from jobd.core.why import explain
from jobd.web.api import shown
from jobd.web.api.house import House
from jobd.web.api.problems import NoSuchJob
from jobd.web.pages.filters import cut, mark
from jobd.web.pages.page import Ask, Model, Page, watched
from jobd.web.pages.timeline import AtWork, timeline

BLOCK = 50
"""Lines of the log that are sent again together, when there is a new one among them."""
LAST_BLOCKS = 5
"""So many of them are shown; the rest, of up to 1000 lines, to who asks for it."""
_ALL = "all"


class Block(NamedTuple):
    """Some lines of the log. `number` stays the same as lines come, and as the first ones are dropped."""

    number: int
    lines: list[tuple[JobLine, bool]]
    """Each with whether it is the first of another run."""


def read(house: House, ask: Ask) -> Model:
    """Read all of a job. Raises NoSuchJob, OptionError, BrokerError."""
    queue = check_name(ask.path["queue"], what="queue")
    job_id = check_name(ask.path["job"], what="job")
    facts = WhyFacts(house.client, house.namespace, queue)
    try:
        job = shown.job(house, queue, job_id)
    except NoSuchJob as none:
        raise _gone(facts, queue, job_id) or none from none
    asking = facts.read(job_id)
    logs = _blocks(job.logs, job.logs_dropped)
    shows_all = ask.query.get("logs") == _ALL
    return {
        "title": f"{cut(job.task, 60)} {job_id}",
        "job": job,
        "why": None if asking is None else explain(asking.job, asking.queue, mark),
        "steps": timeline(job, _claimed_at(job, asking), _at_work(house, job)),
        "can": [verb for verb, states in VERBS.items() if job.state in states and verb != "purge"],
        "share": _share(job),
        "error": _error(job),
        "force": _in_force(job.options),
        "labels": _pairs({n: v for n, v in job.options.items() if n not in _POLICY}),
        "logs": logs if shows_all else logs[-LAST_BLOCKS:],
        "earlier": 0 if shows_all else sum(len(block.lines) for block in logs[:-LAST_BLOCKS]),
        "commands": _commands(job),
        "cost": {name: getattr(job, name) for name in _COUNTERS if getattr(job, name)},
    }


# What a call may say of its runs; of what it does not say the worker's code and file decide.
_POLICY = ("attempts", "timeout", "backoff")
_AS_CONFIGURED = "as the worker's configuration says"
_COUNTERS = ("failed", "timeouts", "crashes", "lost", "interrupted", "snoozed", "throttled")


def _gone(facts: WhyFacts, queue: str, job_id: str) -> NoSuchJob | None:
    """Say that it was there a moment ago, where that is so."""
    if not facts.is_remembered(job_id):
        return None
    return NoSuchJob(
        f"job {job_id!r}: it ended within the last minute or two, and was removed from queue {queue!r} since; "
        "expected one that is still kept; see `retain`, which says how long that is"
    )


def _claimed_at(job: JobInfo, asking: Asking | None) -> int | None:
    """Say since when the run that goes on has it."""
    if job.state != ACTIVE or asking is None:
        return None
    return next((each.since for each in asking.queue.busy if each.job == job.id), None)


def _at_work(house: House, job: JobInfo) -> AtWork | None:
    """Say where the run that goes on is, by what hosts said of their workers a few seconds ago."""
    if job.state != ACTIVE or not job.worker:
        return None
    for host in house.browser.hosts():
        for worker in host.daemon.workers if host.daemon else ():
            if worker.incarnation == job.worker:
                name = (host.daemon.host if host.daemon else "") or host.key
                return AtWork(name, host.key, worker.slot)
    return None


def _in_force(options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Give attempts, timeout and backoff: what the call says, else who decides."""
    said = dict(_pairs(options))
    return [(name, said.get(name, _AS_CONFIGURED)) for name in _POLICY]


def _share(job: JobInfo) -> float | None:
    """Give how far it is, 0 to 1."""
    if job.progress is None or not math.isfinite(job.progress.fraction):
        return None
    return min(1.0, max(0.0, job.progress.fraction))


def _error(job: JobInfo) -> str:
    """Give what went wrong last, with the traceback where there is one, which ends with the error."""
    if job.state == COMPLETED or not job.error:
        return ""
    last = job.history[-1] if job.history else {}
    trace = last.get("traceback")
    is_its = isinstance(trace, str) and trace and last.get("error") == job.error
    return str(trace) if is_its else job.error


def _pairs(options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Write options, each on a line."""
    return [
        (name, value if isinstance(value, str) else msgspec.json.encode(value).decode())
        for name, value in options.items()
    ]


def _blocks(lines: Sequence[JobLine], dropped: int) -> list[Block]:
    """Divide the log so that a new line changes the last block alone."""
    blocks: list[Block] = []
    before: int | None = None
    for at, line in enumerate(lines, dropped):
        if not blocks or blocks[-1].number != at // BLOCK:
            blocks.append(Block(at // BLOCK, []))
        is_other = before is not None and line.token != before
        blocks[-1].lines.append((line, is_other))
        before = line.token
    return blocks


def _commands(job: JobInfo) -> list[str]:
    """Write the commands that show the same, and do what may be done."""
    of_it = f"{job.id} --queue {job.queue}"
    commands = [f"jobd jobs show {of_it}", f"jobd why {of_it}"]
    if job.state == ACTIVE:
        commands.append(f"jobd jobs show --follow {of_it}")
    commands += [
        f"jobd jobs {verb} {of_it}"
        for verb in ("retry", "run-now", "cancel", "delete")
        if job.state in VERBS[verb]
    ]
    if job.state == ACTIVE:
        commands.append(f"jobd jobs cancel --force {of_it}")
    return commands


PAGE = watched(Page("/queues/{queue}/jobs/{job}", "job", "{job}", "job.html", read), "logs")
