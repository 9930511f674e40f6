"""`jobd queues purge QUEUE`: throw away what waits in it."""

from __future__ import annotations

import sys
from collections import Counter

import click

from jobd.broker.connection import connect
from jobd.cli import settings
from jobd.cli.options import config_option, json_option, url_option
from jobd.cli.output import print_json
from jobd.cli.progress import progress
from jobd.cli.queue_name import known_queue
from jobd.cli.redis import views_of
from jobd.client.operate_many import Order, Sweep, as_of_now
from jobd.core.states import ACTIVE, DELAYED, STATES, WAITING

_STATES = tuple(state for state in STATES if state != ACTIVE)


@click.command("purge")
@click.argument("queue")
@click.option(
    "--state", "states", type=click.Choice(_STATES), multiple=True,
    help="Only this state. Repeatable. Default: waiting, delayed.",
)  # fmt: skip
@click.option("--yes", is_flag=True, help="Do not ask for the queue's name.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@config_option
@url_option
@json_option
def command(
    queue: str,
    states: tuple[str, ...],
    yes: bool,
    dry_run: bool,
    config_file: str | None,
    redis_url: str | None,
    as_json: bool,
) -> None:
    """Remove every job that waits in QUEUE or is delayed, for good: they are not recorded any more.

    What runs goes on. To stop jobs and be able to retry them, `jobd jobs cancel --queue QUEUE`.
    """
    states = tuple(dict.fromkeys(states)) or (WAITING, DELAYED)
    config = settings.read(settings.find_file(config_file), url=redis_url)
    views = views_of(config)
    known_queue(queue, views)
    client = connect(config.redis.url, timeout=2.0)
    as_of = as_of_now(client, None)
    counts = views.counts(queue)
    there = {state: counts[state] for state in states if counts[state]}
    if dry_run or not there:
        _say(queue, {}, there, as_json=as_json, dry_run=dry_run)
        return
    if not yes:
        _confirm(queue, there, counts[ACTIVE], may_ask=not as_json and sys.stdin.isatty())
    # What is added while somebody thinks about these is left alone.
    order = Order(verb="purge", queues=(queue,), states=tuple(there), as_of=as_of)
    told = _purge(Sweep(client, config.redis.namespace, order), quiet=as_json)
    _say(queue, told, there, as_json=as_json, dry_run=False)


def _confirm(queue: str, there: dict[str, int], active: int, *, may_ask: bool) -> None:
    """Ask for the queue's name. Raises UsageError when it is not given."""
    if not may_ask:
        raise click.UsageError(
            f"purge {queue}: not confirmed; expected --yes where nobody can be asked; "
            "see with --dry-run what it would remove"
        )
    runs = f" {active} that run go on." if active else ""
    click.echo(f"This removes {_words(there)} jobs of queue {queue!r}, for good.{runs}", err=True)
    typed = click.prompt("Type the queue's name to go on", default="", show_default=False, err=True)
    if typed != queue:
        raise click.UsageError(f"purge: {typed!r}; expected {queue!r}; nothing was removed")


def _purge(sweep: Sweep, *, quiet: bool) -> Counter[str]:
    told: Counter[str] = Counter()
    with progress("purge", sweep.size(), quiet=quiet) as advance:
        for step in sweep.steps():
            told.update(outcome.word for outcome in step.outcomes)
            advance(step.looked)
    # One that was removed by somebody else is removed all the same.
    del told["gone"]
    return told


def _say(
    queue: str, told: dict[str, int], there: dict[str, int], *, as_json: bool, dry_run: bool
) -> None:
    if as_json:
        print_json({"queue": queue, "dry_run": dry_run, "there": there, "counts": told})
    elif not there:
        click.echo(f"purge: nothing to remove in queue {queue!r}", err=True)
    elif dry_run:
        click.echo(f"would purge: {_words(there)}")
    else:
        purged = told.get("purged", 0)
        others = "".join(f", {n} {word} now" for word, n in told.items() if word != "purged")
        click.echo(f"purge: {purged} removed{others}")


def _words(there: dict[str, int]) -> str:
    return " and ".join(f"{n:,} {state}" for state, n in there.items())
