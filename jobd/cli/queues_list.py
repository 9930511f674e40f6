"""`jobd queues list`: every queue and how many jobs are in each state, what holds it back."""

from __future__ import annotations

import click

from jobd.cli import settings
from jobd.cli.options import config_option, json_option, url_option
from jobd.cli.output import print_json
from jobd.cli.queues_table import print_queues
from jobd.cli.redis import views_of


@click.command("list")
@config_option
@url_option
@json_option
def command(config_file: str | None, redis_url: str | None, as_json: bool) -> None:
    """List queues with their counts."""
    config = settings.read(settings.find_file(config_file), url=redis_url)
    views = views_of(config)
    counts = {queue: views.counts(queue) for queue in views.queues()}
    flows = {queue: views.flow(queue) for queue in counts}
    if as_json:
        print_json(
            [{"queue": name, "jobs": jobs, "flow": flows[name]} for name, jobs in counts.items()]
        )
    elif counts:
        print_queues(counts, flows)
    else:
        click.echo(f"no queue in namespace {config.redis.namespace!r} yet", err=True)
