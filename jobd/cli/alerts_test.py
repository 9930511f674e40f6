"""`jobd alerts test [--sink NAME]`: one test notification for each sink, sent from here, now."""

from __future__ import annotations

import secrets

import click

from jobd.alerter.deliver import send_now
from jobd.alerter.sinks.post import shown
from jobd.cli import settings
from jobd.cli.alerts import no_such
from jobd.cli.options import config_option, json_option
from jobd.cli.output import print_json, printable
from jobd.core.alerts.judge import test_notification
from jobd.core.alerts.sending import Sent
from jobd.core.durations import words
from jobd.core.errors import EX_UNAVAILABLE, ConfigError
from jobd.core.ids import uuid7
from jobd.seams.clock import mono, wall_ms
from jobd.seams.hostname import host_name


@click.command("test")
@click.option("--sink", help="Only this sink.")
@config_option
@json_option
def command(sink: str | None, config_file: str | None, as_json: bool) -> int:
    """Send a test notification to each sink, and say what became of it. Needs neither daemon nor Redis."""
    config = settings.read(settings.find_file(config_file), url=None)
    sinks = {each.name: each for each in config.alerts.sinks}
    if not sinks:
        raise ConfigError(
            "alerts.sinks: none; expected at least one to send to; add [[alerts.sinks]] to the "
            "configuration"
        )
    if sink is not None and sink not in sinks:
        no_such("sink", sink, sinks)
    told = []
    for name in [sink] if sink is not None else sinks:
        note = test_notification(
            note_id=uuid7(wall_ms(), secrets.randbits(74)), at_ms=wall_ms(),
            namespace=config.redis.namespace, host=host_name(),
        )  # fmt: skip
        began, outcome = mono(), send_now(sinks[name], note)
        is_sent = isinstance(outcome, Sent)
        why = None if isinstance(outcome, Sent) else outcome.why
        status = outcome.status if isinstance(outcome, Sent) else None
        told.append({"sink": name, "sent": is_sent, "status": status, "why": why, "id": note.id})
        if not as_json:
            took = words(mono() - began)
            said = f"sent, answered {status} after {took}" if is_sent else f"not sent: {why}"
            click.echo(printable(f"{name} ({shown(sinks[name].url)}): {said}"))
    if as_json:
        print_json(told)
    return 0 if all(each["sent"] for each in told) else EX_UNAVAILABLE
