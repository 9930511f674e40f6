"""`jobd queues`: what is in each queue."""

from __future__ import annotations

import click
import msgspec
from rich.console import Console
from rich.table import Table

from jobd.broker.connection import connect
from jobd.broker.views import Views
from jobd.cli.options import read_config
from jobd.core.states import STATES


@click.group()
def queues() -> None:
    """See the queues."""


@queues.command("list")
@click.option("-c", "--config", "file", help="The configuration file.")
@click.option("--redis-url", help="Goes before JOBD_REDIS_URL and the file's redis.url.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_queues(file: str | None, redis_url: str | None, as_json: bool) -> None:
    """Count every queue's jobs by state."""
    config = read_config(file, redis_url=redis_url)
    views = Views(connect(config.redis.url), config.redis.namespace)
    counts = {queue: views.counts(queue) for queue in views.queues()}
    if as_json:
        rows = [{"queue": queue, **count} for queue, count in counts.items()]
        click.echo(msgspec.json.encode(rows))
        return
    if not counts:
        click.echo("No queue has been used yet: add a job, or start a daemon.")
        return
    table = Table("queue", *STATES, box=None, header_style="bold")
    for queue, count in counts.items():
        table.add_row(queue, *(f"{count[state]:,}" for state in STATES))
    Console().print(table)
