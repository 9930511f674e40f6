"""`jobd status`: the daemon of this host, the other hosts and the queues, each without the others."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable

import click

from jobd.cli import in_force
from jobd.cli import picture_lines as lines
from jobd.cli.growth_lines import growth_lines
from jobd.cli.options import config_option, json_option, runtime_option, url_option
from jobd.cli.output import print_json
from jobd.cli.picture import Looker, Picture
from jobd.cli.picture_lines import Line
from jobd.core.errors import EX_CONFIG

_COLOURS = {"bad": "red", "warn": "yellow"}


@click.command("status")
@click.option("--all", "everywhere", is_flag=True, help="List the workers of all hosts.")
@click.option("--explain", is_flag=True, help="Say why each queue has so many workers.")
@config_option
@url_option
@runtime_option
@json_option
def command(
    everywhere: bool,
    explain: bool,
    config_file: str | None,
    redis_url: str | None,
    runtime_dir: str | None,
    as_json: bool,
) -> int:
    """Show the daemon of this host, its workers, the other hosts and the queues.

    Works while Redis, or the daemon, or its configuration does not. Exits with 69 when Redis cannot be
    reached, with 77 when our user may not look there, with 78 when the daemon's files cannot be read;
    what there is is shown all the same.
    """
    picture = Looker(in_force.find(config_file, url=redis_url, runtime_dir=runtime_dir)).look()
    if as_json:
        print_json(document(picture))
    else:
        _print(picture, everywhere=everywhere, explain=explain)
    if picture.unreadable is not None:
        return EX_CONFIG
    return picture.store.exit_code


def document(picture: Picture) -> dict[str, object]:
    """Make what --json prints. Names are stable; what is added has names of its own."""
    store = picture.store
    redis = {
        "url": picture.url,
        "namespace": picture.namespace,
        "daemon_works_here": picture.works_here,
        "error": store.trouble,
        "server": store.server,
        "unfit": store.unfit,
    }
    return {
        "runtime_dir": picture.runtime_dir,
        "daemon": picture.daemon,
        "unreadable": picture.unreadable,
        "config_problems": picture.problems,
        "web": picture.web,
        "redis": redis,
        "hosts": store.hosts,
        "queues": store.counts,
        "flow": store.flows,
    }


def _print(picture: Picture, *, everywhere: bool, explain: bool) -> None:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    # What is wrong is told to its end: folded, not cut.
    _show(_folded(lines.daemon_lines(picture, None), width))
    _show(_folded(lines.store_lines(picture.store, picture.url, None), width))
    _show(lines.host_lines(picture, width))
    _show(lines.worker_lines(lines.places(picture, everywhere=everywhere), width))
    _show(growth_lines(picture, width))
    if not picture.store.trouble:
        _show(lines.queue_lines(picture, width) or [Line(""), Line("no queue in Redis yet")])
    if explain:
        _show(lines.explain_lines(picture, None))


def _folded(found: Iterable[Line], width: int | None) -> list[Line]:
    if width is None:
        return list(found)
    indent = " " * 11
    return [
        Line(part, line.style)
        for line in found
        for part in textwrap.wrap(
            line.text, max(40, width), subsequent_indent=indent, drop_whitespace=True,
            break_long_words=False, break_on_hyphens=False, replace_whitespace=False,
        )
    ]  # fmt: skip


def _show(found: Iterable[Line]) -> None:
    plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ
    for line in found:
        if plain or not line.style:
            click.echo(line.text)
        elif line.style == "head":
            click.echo(click.style(line.text, bold=True))
        else:
            click.echo(click.style(line.text, fg=_COLOURS.get(line.style)))
