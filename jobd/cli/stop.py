"""`jobd stop`: the daemon of this host drains and ends."""

from __future__ import annotations

import click

from jobd.cli import daemon_verb
from jobd.cli.options import config_option, json_option, runtime_option
from jobd.cli.output import print_json
from jobd.core.durations import words
from jobd.core.errors import EX_TEMPFAIL
from jobd.seams import clock
from jobd.seams.requests import Stop


@click.command("stop")
@click.option(
    "--now", is_flag=True, help="Do not let jobs finish: they are handed back, uncharged."
)
@click.option("--wait/--no-wait", default=True, help="Wait until the daemon has ended (default).")
@click.option(
    "--timeout", default="5m", show_default=True, metavar="DURATION", help="Wait no longer."
)
@config_option
@runtime_option
@json_option
def command(
    now: bool,
    wait: bool,
    timeout: str,
    config_file: str | None,
    runtime_dir: str | None,
    as_json: bool,
) -> int:
    """Stop the daemon of this host: running jobs may finish, for drain_timeout at the most.

    Once more, while it drains, or with --now, it ends at once. Exits with 75 when it has not ended in
    the time given. Where systemd runs it, `systemctl stop` is the word: systemd starts again what
    ended otherwise.
    """
    limit = daemon_verb.within(timeout)
    began = clock.mono()
    with daemon_verb.reach(config_file, runtime_dir) as daemon:
        daemon.ask(Stop(now=now), within=daemon_verb.AT_ONCE)
        ended = wait and daemon.ended(within=limit)
    took = clock.mono() - began
    if as_json:
        print_json(
            {"ok": ended or not wait, "pid": daemon.pid, "ended": ended, "took_s": round(took, 3)}
        )
    elif ended:
        click.echo(f"stop: ended, after {words(took)}")
    elif not wait:
        click.echo("stop: the daemon " + ("ends now" if now else "drains, and ends then"))
    else:
        click.echo(
            f"stop: the daemon still drains after {words(took)}; expected it to have ended; wait "
            "on, or `jobd stop --now`",
            err=True,
        )
    return EX_TEMPFAIL if wait and not ended else 0
