"""`jobd queues resume QUEUE...`: queues, or one task of them, go on; see queues_verb."""

from __future__ import annotations

import click

from jobd.cli.options import config_option, json_option, url_option
from jobd.cli.queues_verb import carry_out, queues_argument, read


@click.command("resume")
@queues_argument
@click.option("--task", help="This task, which was paused by its name.")
@config_option
@url_option
@json_option
def command(
    queues: tuple[str, ...],
    task: str | None,
    config_file: str | None,
    redis_url: str | None,
    as_json: bool,
) -> None:
    """Let these queues go on: after a pause, or before a wait is over that a task asked for.

    Tasks that were paused by their name stay so; name them. Their jobs are back at their places.
    """
    carry_out("resume", queues, task, "", read(config_file, redis_url), as_json=as_json)
