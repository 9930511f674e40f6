"""What commands to a running daemon have in common: finding it, asking it, saying what it did.

Used by reload, stop, scale, recycle and dump. Signals can say the same to a daemon (HUP, TERM, QUIT,
TTIN, TTOU, USR1), but they cannot answer.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from jobd.cli import in_force, settings
from jobd.cli.output import print_json, printable
from jobd.cli.wanted import bare
from jobd.core.durations import seconds
from jobd.core.errors import DaemonRefused, NoDaemon
from jobd.seams.asking import Daemon
from jobd.seams.requests import Request

# The loop of a daemon turns many times a second: one that is silent for so long hangs.
AT_ONCE = 5.0


def reach(config_file: str | None, runtime_dir: str | None) -> Daemon:
    """Connect to the daemon of a configuration, which may be broken by now.

    Raises NoDaemon, DaemonForbids, DaemonSilent; ConfigError when it is broken and no daemon is there.
    """
    file = settings.find_file(config_file)
    directory = in_force.directory_of(file, runtime_dir)
    try:
        return Daemon.reach(directory)
    except NoDaemon:
        settings.read(file, url=None)  # a broken file may have named another place
        raise


def within(option: str) -> float:
    """Read the time limit of a command line. Raises OptionError."""
    return seconds(bare(option), what="--timeout")


def carry_out(
    daemon: Daemon,
    request: Request,
    *,
    limit: float,
    as_json: bool,
    say: Callable[[dict[str, Any]], str],
) -> int:
    """Ask, and print what was done: `say` makes a line of the answer. Gives the exit code."""
    try:
        done = daemon.ask(request, within=limit, heard=(_quiet if as_json else _note))
    except DaemonRefused as refused:
        if not as_json:
            raise
        error = {"code": refused.reason, "message": str(refused)}
        print_json({"ok": False, "pid": daemon.pid, "error": error})
        return refused.exit_code
    if as_json:
        print_json({"ok": True, "pid": daemon.pid} | done)
    else:
        click.echo(printable(say(done)))
    return 0


def _note(words: str) -> None:
    click.echo(printable(words), err=True)
    sys.stderr.flush()


def _quiet(_words: str) -> None:
    """Say nothing: JSON is one document."""
