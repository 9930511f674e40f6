"""`jobd reload`: the daemon of this host reads its configuration and its code again."""

from __future__ import annotations

from typing import Any

import click

from jobd.cli import daemon_verb
from jobd.cli.options import config_option, json_option, runtime_option
from jobd.seams.requests import Reload


@click.command("reload")
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Replace the workers of every queue, also of those that did not change.",
)
@click.option(
    "--timeout", default="5m", show_default=True, metavar="DURATION", help="Wait no longer."
)
@config_option
@runtime_option
@json_option
def command(
    everything: bool,
    timeout: str,
    config_file: str | None,
    runtime_dir: str | None,
    as_json: bool,
) -> int:
    """Let the daemon of this host read its configuration and its code again.

    Returns when new workers run and old ones have been told to end; their jobs go on to their ends.
    A file that is wrong, or code that does not import, changes nothing: the reason is printed, and
    the exit code is 78. HUP does the same, and cannot answer.
    """
    limit = daemon_verb.within(timeout)
    with daemon_verb.reach(config_file, runtime_dir) as daemon:
        return daemon_verb.carry_out(
            daemon, Reload(all=everything), limit=limit, as_json=as_json, say=_said
        )


def _said(done: dict[str, Any]) -> str:
    note = done.get("note")
    return str(done.get("message") or "reloaded") + (f"\n{note}" if note else "")
