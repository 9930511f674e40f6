"""`jobd dump [SLOT]`: what every thread is doing right now, as stacks in the daemon's log."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from jobd.cli import daemon_verb
from jobd.cli.options import config_option, json_option, runtime_option
from jobd.seams.requests import Dump, Stack


@click.command("dump")
@click.argument("slot", required=False)
@config_option
@runtime_option
@json_option
def command(
    slot: str | None, config_file: str | None, runtime_dir: str | None, as_json: bool
) -> int:
    """Write the stacks of all threads of one worker, or of all processes, to the daemon's log.

    It disturbs nothing: what runs goes on. USR1 does the same for all.
    """
    with daemon_verb.reach(config_file, runtime_dir) as daemon:
        return daemon_verb.carry_out(
            daemon,
            Dump(slot, tell=True),
            limit=daemon_verb.AT_ONCE,
            as_json=as_json,
            say=lambda done: said(slot, done),
        )


def said(slot: str | None, done: dict[str, Any]) -> str:
    """Word what has come of it."""
    try:
        stacks = msgspec.convert(done.get("stacks", []), list[Stack])
    except msgspec.ValidationError:
        stacks = []  # a daemon of an older version tells none
    silent = [stack for stack in stacks if not stack.text]
    written = done.get("processes", 0) - len(silent)
    whose = f"{written} process{'' if written == 1 else 'es'}" if slot is None else slot
    parts = [f"the stacks of {whose} {_where(done)}"] if written else []
    parts += [f"none of {stack.who} (pid {stack.pid}): {stack.missing}" for stack in silent]
    return f"dump: {'; '.join(parts) or 'there is no process to ask'}"


def _where(done: dict[str, Any]) -> str:
    if not done.get("unlogged"):
        return "are in the log of the daemon"
    return (
        "did not all get into the log of the daemon: nobody reads it, or its disk is full "
        "(`jobd dump --json` prints them)"
    )
