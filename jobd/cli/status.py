"""`jobd status`: the daemon of this host and the queues in Redis, each also without the other."""

from __future__ import annotations

import click

from jobd.broker.connection import safe_url
from jobd.cli import runtime, settings
from jobd.cli.daemon_state import Daemon, look
from jobd.cli.options import config_option, json_option, runtime_option, url_option
from jobd.cli.output import print_json, print_table
from jobd.cli.redis import views_of
from jobd.core.config import Config
from jobd.core.durations import words
from jobd.core.errors import EX_UNAVAILABLE, BrokerError
from jobd.core.states import STATES


@click.command("status")
@config_option
@url_option
@runtime_option
@json_option
def command(
    config_file: str | None, redis_url: str | None, runtime_dir: str | None, as_json: bool
) -> int:
    """Show the daemon of this host, its workers and the queues.

    Exits with 69 when Redis cannot be reached; the daemon is shown all the same.
    """
    config = settings.read(settings.find_file(config_file), url=redis_url)
    directory = runtime.locate(config, runtime_dir)
    daemon = look(directory)
    counts, trouble = _counts(config)
    if as_json:
        print_json(
            {
                "runtime_dir": str(directory),
                "daemon": daemon,
                "redis": {"url": safe_url(config.redis.url), "error": trouble},
                "queues": counts,
            }
        )
    else:
        _print_daemon(daemon, str(directory))
        _print_queues(counts, trouble)
    return EX_UNAVAILABLE if trouble else 0


def _counts(config: Config) -> tuple[dict[str, dict[str, int]], str | None]:
    try:
        views = views_of(config)
        return {queue: views.counts(queue) for queue in views.queues()}, None
    except BrokerError as error:
        return {}, str(error)


def _print_daemon(daemon: Daemon | None, directory: str) -> None:
    if daemon is None:
        click.echo(f"daemon   none has run in {directory}")
        return
    state = "stopping" if daemon.stopping else "running"
    if not daemon.running:
        click.echo(f"daemon   not running; the last one was pid {daemon.pid}")
        return
    click.echo(f"daemon   {state}, pid {daemon.pid}, for {words(daemon.up_for)}")
    for name, how in daemon.helpers.items():
        click.echo(f"         {name}: {how}")
    if daemon.last_error:
        click.echo(f"         last error: {daemon.last_error}")
    click.echo()
    rows = [
        (
            worker.slot,
            worker.phase,
            worker.pid or "",
            worker.settled,
            worker.restarts,
            worker.last_exit or "",
            "" if worker.job is None else f"{worker.task} {worker.job}",
            "" if worker.running_for is None else words(worker.running_for),
        )
        for worker in daemon.workers
    ]
    heads = ("SLOT", "PHASE", "PID", "SETTLED", "RESTARTS", "LAST EXIT", "JOB", "FOR")
    print_table(heads, rows)


def _print_queues(counts: dict[str, dict[str, int]], trouble: str | None) -> None:
    click.echo()
    if trouble:
        click.echo(trouble)
    elif counts:
        rows = [(queue, *(jobs[state] for state in STATES)) for queue, jobs in counts.items()]
        print_table(("QUEUE", *(state.upper() for state in STATES)), rows)
    else:
        click.echo("no queue in Redis yet")
