"""`jobd jobs list`: jobs by queue and state, without their arguments and results."""

from __future__ import annotations

import click
import msgspec

from jobd.broker.views import JobInfo, Views
from jobd.cli import settings
from jobd.cli.options import config_option, json_option, url_option
from jobd.cli.output import print_json, print_table, when
from jobd.cli.redis import views_of
from jobd.core.states import STATES

_PRIVATE = ("args", "result", "history", "options")
_COUNTERS = ("failed", "timeouts", "crashes", "lost", "interrupted")


@click.command("list")
@click.option("--queue", help="Only this queue.")
@click.option("--state", type=click.Choice(STATES), help="Only this state.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@config_option
@url_option
@json_option
def command(
    queue: str | None,
    state: str | None,
    limit: int,
    config_file: str | None,
    redis_url: str | None,
    as_json: bool,
) -> None:
    """List jobs: what runs next first, what ended last first."""
    config = settings.read(settings.find_file(config_file), url=redis_url)
    views = views_of(config)
    jobs = _jobs(views, queue, state, limit)
    if as_json:
        print_json([_public(job) for job in jobs])
    elif jobs:
        print_table(("ID", "QUEUE", "TASK", "STATE", "ADDED", "NOTE"), map(_row, jobs))
    else:
        click.echo("no such job", err=True)


def _jobs(views: Views, queue: str | None, state: str | None, limit: int) -> list[JobInfo]:
    found: list[JobInfo] = []
    for name in [queue] if queue else views.queues():
        for each in [state] if state else STATES:
            for job_id in views.jobs(name, each, limit - len(found)):
                # One that has moved on since it was listed is shown as it is now, or not at all.
                info = views.info(name, job_id)
                found += [] if info is None else [info]
            if len(found) >= limit:
                return found
    return found


def _public(job: JobInfo) -> dict[str, object]:
    fields: dict[str, object] = msgspec.to_builtins(job)
    return {name: value for name, value in fields.items() if name not in _PRIVATE}


def _row(job: JobInfo) -> tuple[object, ...]:
    return job.id, job.queue, job.task, job.state, when(job.enqueued_at), _note(job)


def _note(job: JobInfo) -> str:
    parts = []
    if job.due_at is not None:
        parts.append(f"due {when(job.due_at)}")
    if job.parked_since is not None:
        parts.append("parked: no worker knows this task")
    if job.cause is not None:
        parts.append(f"cause {job.cause}")
    parts += [f"{name} {count}" for name in _COUNTERS if (count := getattr(job, name))]
    return ", ".join(parts)
