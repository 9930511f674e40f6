"""`jobd queues list`: every queue and how many jobs are in each state."""

from __future__ import annotations

import click

from jobd.cli import settings
from jobd.cli.options import config_option, json_option, url_option
from jobd.cli.output import print_json
from jobd.cli.redis import views_of
from jobd.cli.table import print_table
from jobd.core.states import STATES


@click.command("list")
@config_option
@url_option
@json_option
def command(config_file: str | None, redis_url: str | None, as_json: bool) -> None:
    """List queues with their counts."""
    config = settings.read(settings.find_file(config_file), url=redis_url)
    views = views_of(config)
    counts = {queue: views.counts(queue) for queue in views.queues()}
    if as_json:
        print_json([{"queue": queue, "jobs": jobs} for queue, jobs in counts.items()])
    elif counts:
        rows = [(queue, *(jobs[state] for state in STATES)) for queue, jobs in counts.items()]
        print_table(("QUEUE", *(state.upper() for state in STATES)), rows)
    else:
        click.echo(f"no queue in namespace {config.redis.namespace!r} yet", err=True)
