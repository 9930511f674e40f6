"""`jobd enqueue QUEUE TASK`: add a job by its task's name, without importing the app; or many.

Exit code 75 says that the job may be in or not: Redis went away before it answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
import msgspec

from jobd.cli import settings
from jobd.cli.enqueue_lines import Request, enqueue_lines
from jobd.cli.job_lines import INSTANTS, Reader, instant
from jobd.cli.mistakes import missing
from jobd.cli.options import config_option, json_option, url_option
from jobd.cli.output import print_json
from jobd.client.app import Jobd
from jobd.client.queue import Queue
from jobd.core.errors import EX_TEMPFAIL, BrokerUnavailable
from jobd.core.names import check_name
from jobd.core.unreadable import UNREADABLE_JSON


@click.command("enqueue")
@click.argument("queue")
@click.argument("task", required=False)
@click.argument("whole", metavar="[ARGS]", required=False)
@click.option(
    "--arg",
    "pairs",
    metavar="NAME=VALUE",
    multiple=True,
    help="An argument: JSON where it is JSON, else text. Repeatable.",
)
@click.option(
    "--args",
    "--json-args",
    "json_args",
    metavar="OBJECT",
    help="All arguments, as one JSON object: another way to write ARGS.",
)
@click.option("--delay", metavar="DURATION", help="Run no sooner than that, as in 30s or 1h.")
@click.option("--expires", metavar="DURATION", help="Do not start later than that.")
@click.option("--priority", type=int, help="Lower runs sooner. Default: 5.")
@click.option("--job-id", metavar="ID", help="An id of your own; adding it twice adds one job.")
@click.option(
    "--option",
    "named",
    metavar="NAME=VALUE",
    multiple=True,
    help="Any option of a call, as in attempts=3, timeout=90s or unique=true. Repeatable.",
)
@click.option(
    "--from",
    "source",
    metavar="FILE",
    help='Many jobs: a JSON object a line, {"task": ..., "args": {...}} and options; - is standard input.',
)
@click.option("--id-prefix", metavar="NAME", help="With --from: ids NAME.<line>, safe to repeat.")
@click.option("--skip-bad", is_flag=True, help="With --from: add the good lines, name the bad.")
@click.option("--dry-run", is_flag=True, help="With --from: check all lines, and add nothing.")
@config_option
@url_option
@json_option
def command(
    queue: str,
    task: str | None,
    whole: str | None,
    pairs: tuple[str, ...],
    json_args: str | None,
    delay: str | None,
    expires: str | None,
    priority: int | None,
    job_id: str | None,
    named: tuple[str, ...],
    source: str | None,
    id_prefix: str | None,
    skip_bad: bool,
    dry_run: bool,
    config_file: str | None,
    redis_url: str | None,
    as_json: bool,
) -> int:
    """Add a job for TASK to QUEUE and print its id; or many, with --from.

    ARGS are the task's arguments, as one JSON object: '{"user_id": 7}'. The app's code is not read: a name that no worker knows is parked, and visible. Lines of --from
    that name no task are for TASK; what they say goes before the options given here.
    """
    given = {
        "delay": _duration(delay), "expires": _duration(expires), "priority": priority,
        "job_id": job_id,
    }  # fmt: skip
    options = {name: value for name, value in given.items() if value is not None}
    options |= _options(named, options)
    of_one = {"ARGS": whole, "--arg": pairs, "--args": json_args, "--job-id": options.get("job_id")}
    of_many = {"--id-prefix": id_prefix, "--skip-bad": skip_bad, "--dry-run": dry_run}
    _refuse_mixed(source, of_one, of_many)
    args = _arguments(pairs, whole, json_args)
    config = settings.read(settings.find_file(config_file), url=redis_url)
    target = Jobd(config.redis.url, namespace=config.redis.namespace).queue(queue)
    if source is not None:
        reader = Reader(target, task, options, id_prefix)
        return enqueue_lines(target, Request(source, reader, skip_bad, dry_run, as_json))
    if task is None:
        raise click.UsageError(missing("TASK"))
    return _add_one(target, task, args, options, as_json=as_json)


def _refuse_mixed(
    source: str | None, of_one: Mapping[str, object], of_many: Mapping[str, object]
) -> None:
    """Refuse flags for one job beside --from, and flags for many without it."""
    for name, value in (of_many if source is None else of_one).items():
        if value and source is None:
            raise click.UsageError(f"{name}: without --from; expected both; drop it or add --from")
        if value:
            raise click.UsageError(f"{name} and --from; expected one of the two; drop either")
    if of_many["--id-prefix"] is not None:
        check_name(of_many["--id-prefix"], what="--id-prefix")


def _add_one(
    queue: Queue, task: str, args: dict[str, Any], options: dict[str, Any], *, as_json: bool
) -> int:
    try:
        handle = queue.add(task, args, **options)
    except BrokerUnavailable as error:
        if not error.outcome_unknown:
            raise
        click.echo(f"jobd: {error}", err=True)
        return EX_TEMPFAIL
    if as_json:
        print_json({"id": handle.id, "queue": queue.name, "task": task, "outcome": handle.outcome})
    else:
        click.echo(f"{handle.outcome} {handle.id} on {queue.name}")
    return 0


def _arguments(pairs: tuple[str, ...], whole: str | None, json_args: str | None) -> dict[str, Any]:
    if sum(map(bool, (pairs, whole is not None, json_args is not None))) > 1:
        raise click.UsageError("ARGS, --args and --arg; expected one of them; drop the others")
    if whole is not None:
        return _object(whole, "ARGS")
    if json_args is not None:
        return _object(json_args, "--args")
    return _pairs(pairs, "--arg", "user_id=7")


def _object(written: str, what: str) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(written)
    except UNREADABLE_JSON as error:
        raise click.UsageError(
            f"{what}: {error}; expected a JSON object, as in '{{\"user_id\": 7}}'"
        ) from error
    if not isinstance(decoded, dict):
        raise click.UsageError(
            f"{what}: {written}; expected a JSON object, as in '{{\"user_id\": 7}}'"
        )
    return decoded


def _options(named: tuple[str, ...], given: Mapping[str, object]) -> dict[str, Any]:
    """Read options by name. Raises UsageError; which there are is for who adds the job to say."""
    options = _pairs(named, "--option", "attempts=3")
    for name in options.keys() & given.keys():
        raise click.UsageError(f"{name}: given twice; expected each option once; drop one")
    for name in INSTANTS & options.keys():
        try:
            options[name] = instant(options[name])
        except ValueError as error:
            raise click.UsageError(
                f"--option {name}: {error}; expected an instant, as in 2026-11-30T09:00:00+01:00"
            ) from error
    return options


def _pairs(pairs: tuple[str, ...], what: str, example: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.UsageError(f"{what} {pair}; expected NAME=VALUE, as in {what} {example}")
        if name in found:
            raise click.UsageError(f"{what} {name}: given twice; expected each name once; drop one")
        found[name] = _value(value)
    return found


def _value(written: str) -> Any:
    try:
        return msgspec.json.decode(written)
    except UNREADABLE_JSON:
        return written  # bytes that are no UTF-8 are refused by name when the job is written


def _duration(written: str | None) -> str | float | None:
    """Take a bare number as seconds, which is what it means everywhere else."""
    try:
        return None if written is None else float(written)
    except ValueError:
        return written
