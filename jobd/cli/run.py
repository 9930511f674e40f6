"""`jobd run`: check the configuration, then become the supervisor.

Become, not start: the supervisor has the pid that systemd or a container watches, and carries none
of the libraries of the command line.
"""

from __future__ import annotations

import os
import sys

import click

from jobd.cli import effective, runtime, served, settings
from jobd.cli.options import config_option, runtime_option, url_option
from jobd.seams import listening, lockfile
from jobd.seams.program import python_module


@click.command("run")
@config_option
@click.option("--app", metavar="APP", help="module:attribute; goes before the configuration's.")
@url_option
@runtime_option
def command(
    config_file: str | None, app: str | None, redis_url: str | None, runtime_dir: str | None
) -> None:
    """Run the daemon in the foreground.

    TERM or INT drains and stops, a second one stops at once; so does QUIT. HUP reads the file and the
    code again, without a gap.
    """
    listening.check_activated()
    file = settings.required(config_file)
    found = effective.read(file, app, redis_url, role="supervisor")
    directory = runtime.locate(found.config, runtime_dir).absolute()
    runtime.prepare(directory)
    # Refuses while another daemon runs here: its processes still read the file written below.
    lock = lockfile.acquire(directory)
    activated = listening.are_activated()
    opened = None if activated else effective.listen(found)
    target = directory / runtime.EFFECTIVE
    runtime.write_effective(runtime.effective(found.config, directory, activated=activated), target)
    served.tell(found, opened, activated=activated)
    if opened is not None:
        listening.hand_over([opened])
    reader = effective.command_line(file, app, redis_url, directory, activated=activated)
    sys.stdout.flush()
    sys.stderr.flush()
    lockfile.hand_over(lock)
    os.execv(  # noqa: S606 - no shell on purpose
        sys.executable,
        [*python_module("jobd.wiring.supervisor"), str(target), *reader],
    )
