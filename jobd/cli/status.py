"""`jobd status`: the daemon of this host and the queues in Redis, each also without the other."""

from __future__ import annotations

from contextlib import suppress

import click
import msgspec

from jobd.broker.connection import connect
from jobd.broker.flow import Flow
from jobd.broker.server import read_facts
from jobd.broker.urls import safe_url
from jobd.cli import runtime, settings
from jobd.cli.options import config_option, json_option, runtime_option, url_option
from jobd.cli.output import print_json, printable
from jobd.cli.queues_table import print_queues
from jobd.cli.redis import views_of
from jobd.cli.table import print_table
from jobd.core.config import Config
from jobd.core.durations import words
from jobd.core.errors import EX_UNAVAILABLE, BrokerError, NotPermitted
from jobd.core.portrait import Daemon, Worker
from jobd.core.server_facts import ServerFacts, Unfit, judge
from jobd.seams.portrait import look


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
    store = _look_at_store(config)
    if as_json:
        redis = {
            "url": safe_url(config.redis.url),
            "error": store.trouble,
            "server": store.server,
            "unfit": store.unfit,
        }
        document = {"runtime_dir": str(directory), "daemon": daemon, "redis": redis}
        print_json(document | {"queues": store.counts, "flow": store.flows})
    else:
        _print_daemon(daemon, str(directory))
        _print_store(store, safe_url(config.redis.url))
        if daemon is not None and daemon.workers:
            _print_workers(daemon.workers)
        if not store.trouble:
            _print_queues(store)
    return EX_UNAVAILABLE if store.trouble else 0


class _Store(msgspec.Struct):
    """What Redis says, or why it does not."""

    server: ServerFacts | None = None
    unfit: list[Unfit] = []
    counts: dict[str, dict[str, int]] = {}
    flows: dict[str, Flow] = {}
    trouble: str | None = None


def _look_at_store(config: Config) -> _Store:
    found = _Store()
    try:
        with suppress(NotPermitted):  # of all that is asked here, INFO alone is refused to some
            found.server = read_facts(connect(config.redis.url, timeout=2.0))
            found.unfit = judge(found.server)
        views = views_of(config)
        found.counts = {queue: views.counts(queue) for queue in views.queues()}
        found.flows = {queue: views.flow(queue) for queue in found.counts}
    except BrokerError as error:
        found.trouble = str(error)
    return found


def _print_daemon(daemon: Daemon | None, directory: str) -> None:
    if daemon is None:
        click.echo(f"daemon   none has run in {directory}")
        return
    if not daemon.running:
        click.echo(f"daemon   not running; the last one was pid {daemon.pid}")
        return
    state = "stopping" if daemon.stopping else "running"
    click.echo(f"daemon   {state}, pid {daemon.pid}, for {words(daemon.up_for)}")
    click.echo(f"         {', '.join(f'{name} {how}' for name, how in daemon.helpers.items())}")
    if daemon.last_error:
        click.echo(f"         last error: {printable(daemon.last_error)}")


def _print_store(store: _Store, url: str) -> None:
    if facts := store.server:
        used = f"{facts.used_memory / 1e6:.1f} MB used"
        most = f" of {facts.max_memory / 1e6:.1f} MB" if facts.max_memory else ""
        click.echo(f"redis    {facts.name} {facts.version} at {url}, {used}{most}")
    for unfit in store.unfit:
        click.echo(f"         {unfit.level}: {printable(unfit.why)}")
    if store.trouble:
        click.echo(f"redis    {printable(store.trouble.removeprefix('redis: '))}")


def _print_workers(workers: list[Worker]) -> None:
    heads = ("WORKER", "PHASE", "PID", "SETTLED", "RESTARTS", "LAST EXIT")
    click.echo()
    print_table(heads, map(_row, workers), remark="RUNNING")


def _row(worker: Worker) -> tuple[object, ...]:
    running = ""
    if worker.job is not None and worker.running_for is not None:
        running = f"{words(worker.running_for)}: {worker.job} {worker.task}"
        if worker.running > 1:
            running += f" and {worker.running - 1} more"
    facts = worker.settled, worker.restarts, worker.last_exit
    return worker.slot, worker.phase, worker.pid, *facts, running


def _print_queues(store: _Store) -> None:
    click.echo()
    if store.counts:
        print_queues(store.counts, store.flows)
    else:
        click.echo("no queue in Redis yet")
