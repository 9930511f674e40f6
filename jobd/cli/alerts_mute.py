"""`jobd alerts mute RULE --for 2h`: the rule goes on, and tells nobody until then."""

from __future__ import annotations

import click

from jobd.cli.alerts import is_local, known_rule, look, place
from jobd.cli.options import config_option, json_option, runtime_option, url_option
from jobd.cli.output import print_json, printable, when
from jobd.core.alerts.mutes import mute_ms
from jobd.seams import alertfile
from jobd.seams.clock import wall_ms


@click.command("mute")
@click.argument("rule")
@click.option(
    "--for", "span", required=True, metavar="SPAN", help="For how long, as in 2h: 1m to 90d."
)
@config_option
@url_option
@runtime_option
@json_option
def command(
    rule: str,
    span: str,
    config_file: str | None,
    redis_url: str | None,
    runtime_dir: str | None,
    as_json: bool,
) -> None:
    """Let a rule tell nobody for a while, on all hosts.

    It goes through its states all the same. What fires still when the mute is over is told then. While
    Redis is away a rule about Redis itself can be muted, on this host alone.
    """
    for_ms = mute_ms(span, what="--for")
    at = place(config_file, redis_url, runtime_dir)
    known = look(at)
    known_rule(rule, known)
    where = "on all hosts"
    if known.unreachable is None:
        until = at.store.mute(rule, for_ms)
    elif is_local(known.rules[rule]):
        until, where = wall_ms() + for_ms, "on this host"
        alertfile.write_mute(at.runtime_dir, rule, until)
    else:
        raise known.unreachable
    if as_json:
        print_json({"rule": rule, "muted_until": until, "where": where})
    else:
        click.echo(printable(f"muted {rule} {where} until {when(until)}"))
