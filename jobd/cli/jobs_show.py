"""`jobd jobs show ID`: everything recorded about one job, and with --follow what it says until it ends."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from jobd.broker.connection import connect
from jobd.broker.store import Store
from jobd.broker.views import JobInfo, Views
from jobd.cli import settings
from jobd.cli.notes import Follower, bar, print_log
from jobd.cli.options import config_option, json_option, url_option
from jobd.cli.output import print_json, printable, when
from jobd.cli.redis import views_of
from jobd.core.config import Config
from jobd.core.durations import words
from jobd.core.errors import EX_NOINPUT, JobdError
from jobd.core.names import check_name
from jobd.core.states import DEAD_CAUSES, TERMINAL

_TIMES = (
    "enqueued_at",
    "due_at",
    "claimed_at",
    "finished_at",
    "parked_since",
    "cancel_asked_at",
    "expires_at",
)


class NoSuchJob(JobdError):
    """Nothing is recorded under that id."""

    code = "jobd.no_such_job"
    exit_code = EX_NOINPUT


@click.command("show")
@click.argument("job_id", metavar="ID")
@click.option("--queue", help="The job's queue. Default: look in all.")
@click.option("--follow", is_flag=True, help="Go on: print its log and progress until it ends.")
@config_option
@url_option
@json_option
def command(
    job_id: str,
    queue: str | None,
    follow: bool,
    config_file: str | None,
    redis_url: str | None,
    as_json: bool,
) -> None:
    """Show everything recorded about a job, its arguments and result included.

    With --follow and --json: a line of JSON for each thing it says, and one for the job at its end.
    """
    config = settings.read(settings.find_file(config_file), url=redis_url)
    check_name(job_id, what="job id")
    if queue is not None:
        check_name(queue, what="--queue")
    views = views_of(config)
    home = queue or views.find(job_id)
    info = None if home is None else views.info(home, job_id)
    if home is None or info is None:
        raise NoSuchJob(
            f"job {job_id!r}: not recorded in {f'queue {queue!r}' if queue else 'any queue'}; "
            "expected an id that was added and is still kept (`retain`); "
            "see `jobd jobs list` for what there is"
        )
    if follow:
        _follow(info, views, config, as_json=as_json)
    elif as_json:
        print_json(info)
    else:
        _print(info)


def _follow(info: JobInfo, views: Views, config: Config, *, as_json: bool) -> None:
    client = connect(config.redis.url, timeout=2.0)
    store = Store(client, config.redis.namespace, info.queue)
    follower = Follower(views, store, client, as_json=as_json)
    if not as_json:
        _print(info)
        follower.skip(info.logs_dropped + len(info.logs), info.progress)
    if info.state not in TERMINAL or as_json:
        try:
            follower.follow(info.queue, info.id)
        finally:
            follower.close()
        ended = views.info(info.queue, info.id)
        if as_json:
            click.echo(msgspec.json.encode({"job": ended}))
        else:
            _print_end(ended)


def _print_end(info: JobInfo | None) -> None:
    if info is None:
        click.echo(f"{'state:':<14} gone; nothing is kept of it (`retain`)")
        return
    click.echo(f"{'state:':<14} {info.state}")
    for name in ("cause", "error", "result"):
        if (value := getattr(info, name)) is not None:
            click.echo(f"{name + ':':<14} {printable(_shown(name, value))}")


def _print(info: JobInfo) -> None:
    fields: dict[str, Any] = msgspec.to_builtins(info)
    history, ran = fields.pop("history"), fields.pop("ran")
    for name in ("progress", "logs", "logs_dropped"):
        del fields[name]
    for name, value in fields.items():
        if value in (None, 0, {}) and name not in ("args", "priority"):
            continue
        click.echo(f"{name.replace('_', ' ') + ':':<14} {printable(_shown(name, value))}")
    for number, run in enumerate(history, 1):
        _print_run(number, run)
    if ran is not None:
        where = {"worker": ran["slot"], "host": ran["host"], "token": ran["token"]}
        end = {"kind": info.state, "at": info.finished_at or "", **where, "ran_ms": ran["ms"]}
        _print_run(len(history) + 1, end)
    if info.progress is not None:
        click.echo(f"{'progress:':<14} {bar(info.progress)}, {when(info.progress.at)}")
    print_log(info.logs, info.logs_dropped)


def _print_run(number: int, run: dict[str, Any]) -> None:
    """Print one entry of the history; a traceback keeps its lines, and holds the error."""
    trace = str(run.pop("traceback", ""))
    if trace:
        run.pop("error", None)
    if isinstance(ran_ms := run.get("ran_ms"), int):
        run["ran"] = words(max(0, ran_ms) / 1000)
        del run["ran_ms"]
    head = [when(run.pop("at", "")), str(run.pop("kind", ""))]
    facts = [f"{name}={_plain(value)}" for name, value in run.items()]
    line = "  ".join(printable(part) for part in [*head, *facts] if part)
    click.echo(f"{f'run {number}:':<14} {line}")
    for traced in trace.splitlines():
        click.echo(f"    {printable(traced)}")


def _shown(name: str, value: Any) -> str:
    if name in _TIMES:
        return when(value)
    if name == "cause":
        return f"{value} ({DEAD_CAUSES.get(value, 'of another version')})"
    return _plain(value)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
