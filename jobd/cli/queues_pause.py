"""`jobd queues pause QUEUE...`: nothing more begins, of queues or of one task; see queues_verb."""

from __future__ import annotations

import click

from jobd.cli.options import config_option, json_option, url_option
from jobd.cli.queues_verb import carry_out, queues_argument, read


@click.command("pause")
@queues_argument
@click.option("--task", help="Only this task; the queue's others go on.")
@click.option("--why", default="", help="For people who wonder: shown with the queue.")
@config_option
@url_option
@json_option
def command(
    queues: tuple[str, ...],
    task: str | None,
    why: str,
    config_file: str | None,
    redis_url: str | None,
    as_json: bool,
) -> None:
    """Let nothing more of these queues begin, on any host.

    What runs goes on; what was claimed has started within 100 ms or is back in line. Jobs may still
    be added. It stays so until `jobd queues resume`.
    """
    carry_out("pause", queues, task, why, read(config_file, redis_url), as_json=as_json)
