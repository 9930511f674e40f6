"""`jobd jobs list`: jobs by queue and state, without their arguments and results."""

from __future__ import annotations

from collections.abc import Callable

import click
import msgspec

from jobd.broker.finding import Wanted
from jobd.broker.views import JobInfo, Views
from jobd.cli import settings
from jobd.cli.options import config_option, json_option, url_option
from jobd.cli.output import print_json
from jobd.cli.redis import finder_of, views_of
from jobd.cli.table import print_table
from jobd.cli.wanted import wanted_options
from jobd.core.durations import words
from jobd.core.names import check_name
from jobd.core.states import DEAD, DELAYED, STATES
from jobd.core.suggest import nearest, one_of
from jobd.seams import clock

_PRIVATE = ("args", "result", "history", "options", "logs", "steps", "meta")
_COUNTERS = {
    "failed": "failed",
    "timeouts": "timed out",
    "crashes": "crashed",
    "lost": "lost",
    "interrupted": "interrupted",
    "snoozed": "snoozed",
    "throttled": "throttled",
}


@click.command("list")
@click.option("--queue", help="Only this queue.")
@click.option(
    "--state",
    "states",
    type=click.Choice(STATES),
    multiple=True,
    help="Only this state. Repeatable.",
)
@wanted_options
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@config_option
@url_option
@json_option
def command(
    queue: str | None,
    states: tuple[str, ...],
    wanted: Wanted,
    limit: int,
    config_file: str | None,
    redis_url: str | None,
    as_json: bool,
) -> None:
    """List jobs: what runs next first, what ended last first."""
    config = settings.read(settings.find_file(config_file), url=redis_url)
    if queue is not None:
        check_name(queue, what="--queue")
    views = views_of(config)

    def ids(name: str, each: str, most: int) -> list[str]:
        if not wanted:
            return views.jobs(name, each, most)
        return finder_of(config, name).first(each, wanted, most)

    jobs = _jobs(views, queue, states or STATES, limit, ids)
    if as_json:
        print_json([_public(job) for job in jobs])
    elif jobs:
        heads = ("ID", "QUEUE", "STATE", "AGE", "TASK")
        print_table(heads, map(_row, jobs), elastic=("TASK", "QUEUE"), remark="NOTE")
    elif wanted:
        click.echo("no such job", err=True)
    else:
        click.echo(_nothing(views.queues(), queue, states), err=True)


def _jobs(
    views: Views,
    queue: str | None,
    states: tuple[str, ...],
    limit: int,
    ids: Callable[[str, str, int], list[str]],
) -> list[JobInfo]:
    found: list[JobInfo] = []
    for name in [queue] if queue else views.queues():
        for each in (state for state in STATES if state in states):
            for job_id in ids(name, each, limit - len(found)):
                # One that has moved on since it was listed is shown as it is now, or not at all.
                info = views.info(name, job_id)
                found += [] if info is None else [info]
            if len(found) >= limit:
                return found
    return found


def _nothing(queues: list[str], queue: str | None, states: tuple[str, ...]) -> str:
    what = f"no {' or '.join(states)} job" if states else "no job"
    if queue is None:
        return f"{what} in any queue"
    if queue in queues:
        return f"{what} in queue {queue!r}"
    known = f"; there are {one_of(queues)}{nearest(queue, queues)}" if queues else ""
    return f"no queue {queue!r}{known}"


def _public(job: JobInfo) -> dict[str, object]:
    fields: dict[str, object] = msgspec.to_builtins(job)
    return {name: value for name, value in fields.items() if name not in _PRIVATE}


def _row(job: JobInfo) -> tuple[str, ...]:
    now = clock.wall() * 1000
    age = "" if job.enqueued_at is None else words(max(0.0, (now - job.enqueued_at) / 1000))
    return job.id, job.queue, job.state, age, job.task, _note(job, now)


def _note(job: JobInfo, now: float) -> str:
    """Say why the job is where it is; the error comes last, it may be long."""
    parts = []
    if job.state == DELAYED and job.due_at is not None:
        parts.append(f"due in {words(max(0.0, (job.due_at - now) / 1000))}")
    if job.task_paused:
        parts.append("its task is paused")
    parts += [f"{word} {n}x" for name, word in _COUNTERS.items() if (n := getattr(job, name))]
    if job.state == DEAD:
        parts.append(f"cause {job.cause}")
    if job.state == DELAYED and job.parked_since is not None:
        parts.append("parked: no worker knows this task")
    elif job.error is not None:
        parts.append(job.error)
    return ", ".join(parts)
