"""`jobd alerts unmute RULE`: it tells again, at once where it fires."""

from __future__ import annotations

import click

from jobd.cli.alerts import is_local, known_rule, look, place
from jobd.cli.options import config_option, json_option, runtime_option, url_option
from jobd.cli.output import print_json, printable
from jobd.seams import alertfile


@click.command("unmute")
@click.argument("rule")
@config_option
@url_option
@runtime_option
@json_option
def command(
    rule: str,
    config_file: str | None,
    redis_url: str | None,
    runtime_dir: str | None,
    as_json: bool,
) -> None:
    """Let a muted rule tell again. What fires is told at once."""
    at = place(config_file, redis_url, runtime_dir)
    known = look(at)
    known_rule(rule, known)
    was_muted = False
    if rule in alertfile.read_mutes(at.runtime_dir):
        alertfile.write_mute(at.runtime_dir, rule, 0)
        was_muted = True
    if known.unreachable is None:
        was_muted = at.store.unmute(rule) or was_muted
    elif not (was_muted and is_local(known.rules[rule])):
        raise known.unreachable
    word = "unmuted" if was_muted else "not muted:"
    if as_json:
        print_json({"rule": rule, "was_muted": was_muted})
    else:
        click.echo(printable(f"{word} {rule}"))
