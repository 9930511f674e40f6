"""`jobd enqueue QUEUE TASK`: add one job by its task's name, without importing the app."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from jobd.cli import settings
from jobd.cli.options import config_option, json_option, url_option
from jobd.cli.output import print_json
from jobd.client.app import Jobd


@click.command("enqueue")
@click.argument("queue")
@click.argument("task")
@click.option(
    "--arg",
    "pairs",
    metavar="NAME=VALUE",
    multiple=True,
    help="An argument: JSON where it is JSON, else text. Repeatable.",
)
@click.option("--json-args", metavar="OBJECT", help="All arguments, as one JSON object.")
@click.option("--delay", metavar="DURATION", help="Run no sooner than that, as in 30s or 1h.")
@click.option("--expires", metavar="DURATION", help="Do not start later than that.")
@click.option("--priority", type=int, help="Lower runs sooner. Default: 5.")
@click.option("--job-id", metavar="ID", help="An id of your own; adding it twice adds one job.")
@config_option
@url_option
@json_option
def command(
    queue: str,
    task: str,
    pairs: tuple[str, ...],
    json_args: str | None,
    delay: str | None,
    expires: str | None,
    priority: int | None,
    job_id: str | None,
    config_file: str | None,
    redis_url: str | None,
    as_json: bool,
) -> None:
    """Add a job for TASK to QUEUE and print its id.

    The app's code is not read: a name that no worker knows is parked, and visible.
    """
    args = _arguments(pairs, json_args)
    config = settings.read(settings.find_file(config_file), url=redis_url)
    given = {
        "delay": _duration(delay), "expires": _duration(expires), "priority": priority,
        "job_id": job_id,
    }  # fmt: skip
    options = {name: value for name, value in given.items() if value is not None}
    app = Jobd(config.redis.url, namespace=config.redis.namespace)
    handle = app.queue(queue).add(task, args, **options)
    if as_json:
        print_json({"id": handle.id, "queue": queue, "task": task, "outcome": handle.outcome})
    else:
        click.echo(f"{handle.outcome} {handle.id} on {queue}")


def _arguments(pairs: tuple[str, ...], whole: str | None) -> dict[str, Any]:
    if whole is not None:
        if pairs:
            raise click.UsageError("--json-args and --arg; expected one of the two; drop either")
        try:
            decoded = msgspec.json.decode(whole)
        except (msgspec.DecodeError, UnicodeEncodeError) as error:
            raise click.UsageError(
                f"--json-args: {error}; expected a JSON object, as in '{{\"user_id\": 7}}'"
            ) from error
        if not isinstance(decoded, dict):
            raise click.UsageError(
                f"--json-args: {whole}; expected a JSON object, as in '{{\"user_id\": 7}}'"
            )
        return decoded
    args: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--arg {pair}; expected NAME=VALUE, as in --arg user_id=7")
        if name in args:
            raise click.UsageError(f"--arg {name}: given twice; expected each name once; drop one")
        args[name] = _value(value)
    return args


def _value(written: str) -> Any:
    try:
        return msgspec.json.decode(written)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return written  # bytes that are no UTF-8 are refused by name when the job is written


def _duration(written: str | None) -> str | float | None:
    """Take a bare number as seconds, which is what it means everywhere else."""
    try:
        return None if written is None else float(written)
    except ValueError:
        return written
