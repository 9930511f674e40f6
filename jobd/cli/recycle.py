"""`jobd recycle SLOT...`: replace workers by hand; nothing of what they run is lost or charged."""

from __future__ import annotations

import click

from jobd.cli import daemon_verb
from jobd.cli.options import config_option, json_option, runtime_option
from jobd.cli.output import print_json
from jobd.seams.requests import Recycle


@click.command("recycle")
@click.argument("slots", metavar="SLOT...", nargs=-1, required=True)
@config_option
@runtime_option
@json_option
def command(
    slots: tuple[str, ...], config_file: str | None, runtime_dir: str | None, as_json: bool
) -> None:
    """Replace the workers of these slots, as in `jobd recycle email.1`.

    A new worker takes the slot; the old one finishes its jobs and ends. `jobd status` lists slots.
    """
    with daemon_verb.reach(config_file, runtime_dir) as daemon:
        for slot in dict.fromkeys(slots):
            daemon.ask(Recycle(slot), within=daemon_verb.AT_ONCE)
            if not as_json:
                click.echo(f"recycle: {slot}: its worker is replaced")
    if as_json:
        print_json({"ok": True, "pid": daemon.pid, "slots": list(dict.fromkeys(slots))})
