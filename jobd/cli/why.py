"""`jobd why JOB`: why it has not run, and when it will. For a job in any state, or gone."""

from __future__ import annotations

import click

from jobd.broker.connection import connect
from jobd.broker.why import Asking, WhyFacts
from jobd.cli import settings
from jobd.cli.jobs_show import NoSuchJob
from jobd.cli.options import config_option, json_option, url_option
from jobd.cli.output import paragraph, print_json, when
from jobd.cli.redis import views_of
from jobd.core.config import Config
from jobd.core.durations import words
from jobd.core.names import check_name
from jobd.core.suggest import nearest, one_of
from jobd.core.why import Explanation, explain, in_utc

_INDENT = "  "


@click.command("why")
@click.argument("job_id", metavar="JOB")
@click.option("--queue", help="The job's queue. Default: look in all.")
@config_option
@url_option
@json_option
def command(
    job_id: str,
    queue: str | None,
    config_file: str | None,
    redis_url: str | None,
    as_json: bool,
) -> None:
    """Say why JOB (an id) has not run, and when it will; or how it ended.

    Exits with 66 when no job of that id is recorded.
    """
    config = settings.read(settings.find_file(config_file), url=redis_url)
    check_name(job_id, what="job id")
    if queue is not None:
        check_name(queue, what="--queue")
    asking = _ask(config, job_id, queue)
    said = explain(asking.job, asking.queue, in_utc if as_json else when)
    if as_json:
        print_json(said)
    else:
        _print(asking, said)


def _ask(config: Config, job_id: str, queue: str | None) -> Asking:
    """Find the job and read its facts. Raises NoSuchJob."""
    views = views_of(config)
    known = views.queues()
    home = queue or views.find(job_id, known)
    if home is not None and (asking := _facts(config, home).read(job_id)) is not None:
        return asking
    elsewhere = views.find(job_id, known) if queue else None
    where = f"queue {queue!r}" if queue else "any queue"
    if elsewhere:
        hint = f"it is in queue {elsewhere!r}: leave --queue out"
    elif queue and queue not in known:
        hint = f"no such queue; there are {one_of(known) or 'none'}{nearest(queue, known)}"
    elif any(_facts(config, each).is_remembered(job_id) for each in ([queue] if queue else known)):
        hint = "it ended within the last minute or two and was removed since: see `retain`"
    else:
        hint = (
            "it was never added here, or it ended and was removed (`retain`, `jobd jobs delete`); "
            "see `jobd jobs list`"
        )
    raise NoSuchJob(f"job {job_id!r}: not recorded in {where}; {hint}")


def _facts(config: Config, queue: str) -> WhyFacts:
    return WhyFacts(connect(config.redis.url, timeout=2.0), config.redis.namespace, queue)


def _print(asking: Asking, said: Explanation) -> None:
    job, now = asking.job, asking.queue.now
    age = ""
    if job.enqueued_at is not None:
        age = f", added {words(max(0, now - job.enqueued_at) / 1000)} ago"
    paragraph(f"{said.task} {said.id} in queue {said.queue}: {said.state}{age}")
    for reason in said.reasons:
        paragraph(reason.text, _INDENT)
        if reason.do:
            paragraph(f"-> {reason.do}", _INDENT * 2)
    if said.when:
        paragraph(f"starts: {said.when}", _INDENT)
