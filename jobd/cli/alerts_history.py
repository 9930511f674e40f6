"""`jobd alerts history`: what rules went through, the newest first: fired, resolved, muted."""

from __future__ import annotations

import click
import msgspec

from jobd.cli.alerts import place
from jobd.cli.options import config_option, json_option, runtime_option, url_option
from jobd.cli.output import print_json, when
from jobd.cli.table import print_table
from jobd.core.alerts.history import KEPT, Change, newest, shown
from jobd.core.durations import words
from jobd.core.errors import BrokerError
from jobd.seams import alertfile


@click.command("history")
@click.argument("rule", required=False)
@click.option(
    "--limit", type=click.IntRange(1, KEPT), default=50, show_default=True, help="How many at most."
)
@config_option
@url_option
@runtime_option
@json_option
def command(
    rule: str | None,
    limit: int,
    config_file: str | None,
    redis_url: str | None,
    runtime_dir: str | None,
    as_json: bool,
) -> int:
    """Show what rules went through, or one of them; the newest first.

    What is shown of rules about Redis itself is of this host, and shown while Redis is away too.
    """
    at = place(config_file, redis_url, runtime_dir)
    shared: list[Change] = []
    unreachable: BrokerError | None = None
    try:
        shared = at.store.history()
    except BrokerError as error:
        unreachable = error
    found = newest(shared, alertfile.read(at.runtime_dir).history, rule=rule, limit=limit)
    if as_json:
        print_json({"changes": [msgspec.to_builtins(shown(each)) for each in found]})
    elif found:
        heads = ("AT", "RULE", "WHAT", "OF", "VALUE")
        rows = [row for each in found for row in _rows(each)]
        print_table(heads, rows, elastic=("VALUE", "OF"), remark="NOTE")
    else:
        click.echo("nothing has fired yet", err=True)
    if unreachable is not None:
        click.echo(f"jobd: {unreachable}", err=True)
        return unreachable.exit_code
    return 0


def _rows(change: Change) -> list[tuple[object, ...]]:
    head = (when(change.at_ms), change.rule, change.what)
    note = _note(change)
    if not change.instances:
        return [(*head, "", "", note)]
    return [(*head, each.of, each.shown, note) for each in change.instances]


def _note(change: Change) -> str:
    parts = []
    if change.for_ms is not None:
        parts.append(f"for {words(change.for_ms / 1000)}")
    if change.by:
        parts.append(f"by {change.by}")
    if change.more:
        parts.append(f"and {change.more} more")
    if change.host:
        parts.append(f"on {change.host}")
    return ", ".join(parts)
