"""`jobd schedules run`: a schedule's job, now."""

from __future__ import annotations

import os

import click

from jobd.cli import settings
from jobd.cli.options import config_option, json_option, url_option
from jobd.cli.output import print_json
from jobd.cli.schedules import find, queue_option
from jobd.client.adding import outcome_of
from jobd.core.errors import EX_NOINPUT
from jobd.core.ids import uuid7
from jobd.seams.clock import wall_ms


@click.command("run")
@click.argument("name")
@queue_option
@config_option
@url_option
@json_option
def command(
    name: str, queue: str | None, config_file: str | None, redis_url: str | None, as_json: bool
) -> int:
    """Add a schedule's job now, beside its slots, paused or not."""
    config = settings.read(settings.find_file(config_file), url=redis_url)
    place, store = find(config, name, queue)
    added = store.add_now(name, uuid7(wall_ms(), int.from_bytes(os.urandom(10))))
    if added is None:
        click.echo(f"gone {name} on {place}")
        return EX_NOINPUT
    outcome, job_id = outcome_of(*added)
    if as_json:
        print_json({"id": job_id, "queue": place, "task": added[0].task, "outcome": outcome})
    else:
        click.echo(f"{outcome} {job_id} on {place}")
    return 0
