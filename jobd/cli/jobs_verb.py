"""What `jobd jobs retry|cancel|delete|run-now` have in common: the command line, and what is said.

Either ids, or a filter; never everything by an empty command line. What was done, and what was not
and why, is printed at the end.
"""

from __future__ import annotations

from collections import Counter

import click
import msgspec

from jobd.broker.finding import Wanted
from jobd.cli import settings
from jobd.cli.operate import Operation, Request
from jobd.cli.options import config_option, json_option, url_option
from jobd.cli.output import print_json, printable
from jobd.cli.queue_name import known_queue
from jobd.cli.redis import views_of
from jobd.cli.wanted import wanted_options
from jobd.client.operate import DONE, VERBS
from jobd.client.operate_many import Outcome
from jobd.core.errors import EX_NOINPUT
from jobd.core.names import check_name

SHOWN = 20  # ids of a dry run, for people


def make(verb: str, help_text: str, *, forcible: bool = False) -> click.Command:
    """Make the command of one verb."""

    @click.command(verb, help=help_text)
    @click.argument("ids", metavar="[ID]...", nargs=-1)
    @click.option("--queue", help="Only this queue.")
    @click.option(
        "--state", type=click.Choice(VERBS[verb]), multiple=True,
        help=f"Only this state. Repeatable. Default: {_usual(verb)}.",
    )  # fmt: skip
    @wanted_options
    @click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
    @config_option
    @url_option
    @json_option
    def command(
        ids: tuple[str, ...],
        queue: str | None,
        state: tuple[str, ...],
        wanted: Wanted,
        dry_run: bool,
        config_file: str | None,
        redis_url: str | None,
        as_json: bool,
        force: bool = False,
    ) -> int:
        _refuse_unclear(verb, ids, bool(queue or state or wanted), bool(state or wanted))
        for job_id in ids:
            check_name(job_id, what="job id")
        if queue is not None:
            check_name(queue, what="--queue")
        config = settings.read(settings.find_file(config_file), url=redis_url)
        if queue is not None and not ids:
            known_queue(queue, views_of(config))
        states = state or tuple(_usual(verb).split(", "))
        request = Request(verb, ids, queue, states, wanted, dry_run, force)
        operation = Operation(request, config)
        operation.run(quiet=as_json)
        _say(request, operation.done, as_json=as_json)
        refused = ids and any(each.word not in _good(request) for each in operation.done)
        return EX_NOINPUT if refused else 0

    if forcible:
        flag = click.option("--force", is_flag=True, help="End the process of a job that runs.")
        return flag(command)
    return command


def _usual(verb: str) -> str:
    """Name the states a filter means when it names none: the dead, or all that still may run."""
    return ", ".join(VERBS[verb][:1] if verb in ("retry", "delete") else VERBS[verb])


def _refuse_unclear(verb: str, ids: tuple[str, ...], filtered: bool, narrowed: bool) -> None:
    if ids and narrowed:
        raise click.UsageError(
            f"{verb}: ids and a filter; expected one of the two; drop either (--queue may stay)"
        )
    if not ids and not filtered:
        raise click.UsageError(
            f"{verb}: no job named; expected ids, or a filter such as --queue or --task; "
            f"`--state {VERBS[verb][0]}` alone means every such job of every queue"
        )


def _good(request: Request) -> tuple[str, ...]:
    return VERBS[request.verb] if request.dry_run else DONE[request.verb]


def _say(request: Request, done: list[Outcome], *, as_json: bool) -> None:
    counts = Counter(outcome.word for outcome in done)
    if as_json:
        jobs = msgspec.to_builtins(done)
        print_json(
            {"verb": request.verb, "dry_run": request.dry_run, "counts": counts, "jobs": jobs}
        )
        return
    if request.ids or request.dry_run:
        for outcome in done if request.ids else done[:SHOWN]:
            click.echo(printable(f"{outcome.word}  {outcome.id}"))
        if len(done) > SHOWN and not request.ids:
            click.echo(f"... and {len(done) - SHOWN} more")
    what = f"would {request.verb}" if request.dry_run else request.verb
    told = ", ".join(f"{n} {word}" for word, n in counts.most_common()) or "no such job"
    click.echo(f"{what}: {told}", err=bool(request.ids) or not done)
