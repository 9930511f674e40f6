"""`jobd scale QUEUE N|auto|+1|-1`: how many processes of a queue run on this host."""

from __future__ import annotations

from typing import Any

import click

from jobd.cli import daemon_verb
from jobd.cli.options import config_option, json_option, runtime_option
from jobd.core.errors import OptionError
from jobd.seams.requests import Scale


@click.command("scale", context_settings={"ignore_unknown_options": True})  # -1 is no option
@click.argument("queue")
@click.argument("count", metavar="N|auto|+N|-N")
@config_option
@runtime_option
@json_option
def command(
    queue: str, count: str, config_file: str | None, runtime_dir: str | None, as_json: bool
) -> int:
    """Run N processes of QUEUE on this host, N more (+1) or fewer (-1), or as configured (auto).

    It holds until `auto`, a reload, or the daemon's end. Whoever is too many
    finishes its jobs first. TTIN and TTOU do +1 and -1 to every queue.
    """
    request = _read(queue, count)
    with daemon_verb.reach(config_file, runtime_dir) as daemon:
        return daemon_verb.carry_out(
            daemon,
            request,
            limit=daemon_verb.AT_ONCE,
            as_json=as_json,
            say=lambda done: _said(request, done),
        )


def _read(queue: str, count: str) -> Scale:
    if count == "auto":
        return Scale(queue)
    try:
        number = int(count)
    except ValueError:
        raise OptionError(
            f"count: {count!r}; expected a number of processes, +N, -N or 'auto'"
        ) from None
    if count[0] in "+-":
        return Scale(queue, by=number)
    return Scale(queue, to=number)


def _said(request: Scale, done: dict[str, Any]) -> str:
    """Say what came of it; a step may have met a bound."""
    count = done.get("to")
    if count is None:
        return f"scale: queue {request.queue!r}: as the configuration and the load say"
    return f"scale: queue {request.queue!r}: {count} process{'' if count == 1 else 'es'}"
