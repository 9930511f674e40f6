"""`jobd init`: write a commented jobd.toml."""

from __future__ import annotations

from pathlib import Path

import click

from jobd.cli.template import template
from jobd.core.config_values import target
from jobd.core.errors import HostError, OptionError

_EXAMPLE = "shop.jobs:app"


class CannotWrite(HostError):
    """The file cannot be made: sysexits' EX_CANTCREAT."""

    code = "jobd.cannot_write"
    exit_code = 73


@click.command("init")
@click.argument("app", default=None, required=False)
@click.option(
    "-c",
    "--config",
    "config_file",
    metavar="FILE",
    default="jobd.toml",
    show_default=True,
    help="The file to write.",
)
def command(app: str | None, config_file: str) -> None:
    """Write a commented configuration for APP (module:attribute). Overwrites nothing."""
    try:
        text = template(target(app or _EXAMPLE))
    except OptionError as error:
        raise click.UsageError(f"APP: {error}") from error
    path = Path(config_file)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        if path.is_symlink() and not path.exists():
            raise CannotWrite(
                f"{path}: a link to {path.readlink()}, which is not there; expected a new file; "
                "remove the link, or name what it is to lead to with -c"
            ) from error
        raise CannotWrite(
            f"{path}: exists already; expected a new file; name another one with -c, "
            "or move that one away"
        ) from error
    except OSError as error:
        raise CannotWrite(
            f"{path}: {error.strerror}; expected a file that can be written; "
            "name another one with -c"
        ) from error
    name_it = "" if app else f"set `app` in it, now {_EXAMPLE!r}, to yours, then "
    click.echo(f"wrote {path}; next: {name_it}jobd check -c {path}")
