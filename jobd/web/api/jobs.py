"""Jobs, one at a time: everything recorded, why it waits; retry, cancel, run now, another time, delete."""

from __future__ import annotations

from datetime import datetime

import msgspec

from jobd.broker.store import Store
from jobd.broker.views import JobInfo
from jobd.broker.why import WhyFacts
from jobd.client.operate import DONE, How, carry_out
from jobd.core.options import read_new_due
from jobd.core.why import Explanation, explain
from jobd.web.api import shown
from jobd.web.api.endpoint import Body, Call, Endpoint
from jobd.web.api.house import House
from jobd.web.api.kinds import Span
from jobd.web.api.problems import Conflict, NoSuchJob
from jobd.web.api.reading import bare


class Cancel(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`force` ends the process of a job that runs; its neighbours go back uncharged."""

    force: bool = False


class Reschedule(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new due time: a `delay` from now (`30m`, or seconds), or an instant with its zone (ISO 8601)."""

    delay: Span | None = None
    run_after: datetime | None = None


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the job: cancelled, asked (it runs, and was told to end), retried, deleted, or the
    state it is in now, waiting or delayed."""

    queue: str
    job: str
    outcome: str


def _find(house: House, call: Call) -> JobInfo:
    return shown.job(house, call.path.get("queue"), call.path["job"])


def _why(house: House, call: Call) -> Explanation:
    facts = WhyFacts(house.client, house.namespace, call.path["queue"]).read(call.path["job"])
    if facts is None:
        raise _no_such(call)
    return explain(facts.job, facts.queue)


def _retry(house: House, call: Call) -> Changed:
    return _do("retry", house, call)


def _cancel(house: House, call: Call) -> Changed:
    return _do("cancel", house, call, force=call.body.force)


def _run_now(house: House, call: Call) -> Changed:
    return _do("run-now", house, call)


def _delete(house: House, call: Call) -> Changed:
    return _do("delete", house, call)


def _do(verb: str, house: House, call: Call, *, force: bool = False, due: str = "") -> Changed:
    store = Store(house.client, house.namespace, call.path["queue"])
    [(_, word)] = carry_out(verb, store, [call.path["job"]], How(force=force, due=due))
    return _changed(verb, call, word, DONE[verb])


def _reschedule(house: House, call: Call) -> Changed:
    body, job = call.body, call.path["job"]
    delay = None if body.delay is None else bare(body.delay)
    due = read_new_due(delay, body.run_after, what=f"job {job}")
    return _do("reschedule", house, call, due=due)


def _changed(verb: str, call: Call, word: str, done: tuple[str, ...]) -> Changed:
    if word == "gone":
        raise _no_such(call)
    if word not in done:
        why = "another job holds its lock (`unique`)" if word == "duplicate" else f"it is {word}"
        raise Conflict(
            f"{verb} {call.path['job']}: {why}; nothing was changed; see what it is now: "
            f"/api/v1/queues/{call.path['queue']}/jobs/{call.path['job']}"
        )
    return Changed(queue=call.path["queue"], job=call.path["job"], outcome=word)


def _no_such(call: Call) -> NoSuchJob:
    return shown.no_such_job(call.path.get("queue"), call.path["job"])


ENDPOINTS = [
    Endpoint(
        "GET", "/jobs/{job}", "find_job", "jobs",
        "Find a job by its id in all queues; everything recorded about it, its arguments included.",
        _find, JobInfo,
    ),
    Endpoint(
        "GET", "/queues/{queue}/jobs/{job}", "show_job", "jobs",
        "Show everything recorded about a job, its arguments and result included.",
        _find, JobInfo,
    ),
    Endpoint(
        "GET", "/queues/{queue}/jobs/{job}/why", "why", "jobs",
        "Say why a job is where it is, and when it will start.",
        _why, Explanation,
    ),
    Endpoint(
        "POST", "/queues/{queue}/jobs/{job}/retry", "retry_job", "jobs",
        "Put a dead or cancelled job back in line; its attempts start anew.",
        _retry, Changed,
    ),
    Endpoint(
        "POST", "/queues/{queue}/jobs/{job}/cancel", "cancel_job", "jobs",
        "Cancel a job: what waits is gone at once, what runs is told so.",
        _cancel, Changed, body=Cancel,
    ),
    Endpoint(
        "POST", "/queues/{queue}/jobs/{job}/run-now", "run_job_now", "jobs",
        "Let a delayed job run as soon as a worker is free.",
        _run_now, Changed,
    ),
    Endpoint(
        "POST", "/queues/{queue}/jobs/{job}/reschedule", "reschedule_job", "jobs",
        "Give a job that waits another due time.",
        _reschedule, Changed, body=Reschedule,
    ),
    Endpoint(
        "DELETE", "/queues/{queue}/jobs/{job}", "delete_job", "jobs",
        "Remove the record of a job that has ended.",
        _delete, Changed,
    ),
]  # fmt: skip
