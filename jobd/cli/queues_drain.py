"""`jobd queues drain QUEUE`: wait until its workers have done what there is."""

from __future__ import annotations

import click

from jobd.broker.connection import connect
from jobd.broker.views import Views
from jobd.broker.why import WhyFacts
from jobd.cli import settings
from jobd.cli.options import config_option, json_option, url_option
from jobd.cli.output import print_json, when
from jobd.cli.progress import remaining
from jobd.cli.queue_name import known_queue
from jobd.cli.redis import views_of
from jobd.cli.wanted import bare
from jobd.core.config import Config
from jobd.core.durations import seconds, words
from jobd.core.errors import EX_TEMPFAIL
from jobd.core.states import ACTIVE, DELAYED, WAITING
from jobd.core.why import holding
from jobd.seams import clock

_EVERY = 0.2


@click.command("drain")
@click.argument("queue")
@click.option("--delayed", is_flag=True, help="Wait for delayed jobs too, retries among them.")
@click.option("--timeout", metavar="DURATION", help="Wait no longer, as in 90s or 10m.")
@config_option
@url_option
@json_option
def command(
    queue: str,
    delayed: bool,
    timeout: str | None,
    config_file: str | None,
    redis_url: str | None,
    as_json: bool,
) -> int:
    """Wait until nothing waits in QUEUE and nothing of it runs.

    It only waits: jobs may still be added, and workers go on. Exits with 75 when the time is up.
    """
    span = None if timeout is None else seconds(bare(timeout), what="--timeout")
    config = settings.read(settings.find_file(config_file), url=redis_url)
    views = views_of(config)
    known_queue(queue, views)
    states = (WAITING, ACTIVE, *([DELAYED] if delayed else []))
    began = clock.mono()
    counts = views.counts(queue)
    if any(counts[state] for state in states):
        _warn(config, queue)
        counts = _wait(views, queue, states, None if span is None else began + span, quiet=as_json)
    left = {state: counts[state] for state in states if counts[state]}
    waited = clock.mono() - began
    if as_json:
        print_json(
            {"queue": queue, "drained": not left, "jobs": counts, "waited_s": round(waited, 3)}
        )
    else:
        _say(queue, left, counts[DELAYED], waited)
    return EX_TEMPFAIL if left else 0


def _wait(
    views: Views, queue: str, states: tuple[str, ...], until: float | None, *, quiet: bool
) -> dict[str, int]:
    """Look until there is nothing in these states, or the time is up; give the last counts."""
    counts = views.counts(queue)
    left = sum(counts[state] for state in states)
    with remaining("drain", left, quiet=quiet) as show:
        while left and (until is None or clock.mono() < until):
            clock.pause(_EVERY)
            counts = views.counts(queue)
            left = sum(counts[state] for state in states)
            show(left)
    return counts


def _warn(config: Config, queue: str) -> None:
    """Say what keeps the queue from being drained: nobody should wait for that unawares."""
    client = connect(config.redis.url, timeout=2.0)
    facts = WhyFacts(client, config.redis.namespace, queue).read_queue()
    for reason in holding(queue, facts, when):
        click.echo(f"drain: {reason.text}; {reason.do}", err=True)


def _say(queue: str, left: dict[str, int], delayed: int, waited: float) -> None:
    if left:
        there = ", ".join(f"{n} {state}" for state, n in left.items())
        click.echo(f"drain: {there} in queue {queue!r} after {words(waited)}", err=True)
        return
    rest = f"; {delayed} delayed are left" if delayed else ""
    click.echo(f"drain: queue {queue!r} is drained, after {words(waited)}{rest}")
