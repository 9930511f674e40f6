"""The `jobd` command. One command a file; this one assembles them and turns errors into words."""

from __future__ import annotations

import sys

import click

from jobd import __version__
from jobd.cli.queues import queues
from jobd.cli.run import run
from jobd.core.errors import EX_USAGE, ConfigError, JobdError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="jobd")
def cli() -> None:
    """Background jobs on Redis: nothing lost, supervised, fast."""


cli.add_command(run)
cli.add_command(queues)


def main() -> None:
    """Run a command; exit with a sysexits code and a readable paragraph, never a traceback."""
    try:
        cli.main(prog_name="jobd", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(EX_USAGE)
    except click.Abort:
        sys.exit(130)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(f"jobd: {problem}", err=True)
        sys.exit(error.exit_code)
    except JobdError as error:
        click.echo(f"jobd: {error}", err=True)
        sys.exit(error.exit_code)
