"""`python -m jobd.cli.effective FILE APP URL DIRECTORY WEB FD NEXT`: reads jobd.toml anew for a reload.

The supervisor starts it with what `jobd run` was given, "" standing for a flag that was not. It writes
the effective configuration to NEXT and says on the descriptor that it did, or all that is wrong.
Warnings go to standard error, as they do when a daemon starts.

Invariant: no command line has a password. URL only says that there was a flag; what it said is written
in DIRECTORY, where the effective configuration is.
"""

from __future__ import annotations

import sys
from pathlib import Path
from socket import socket

from jobd.cli import runtime, settings
from jobd.cli.exposed import exposed
from jobd.cli.settings import Settings
from jobd.core.config_advice import require_app, warnings
from jobd.core.errors import EX_CONFIG, ConfigError
from jobd.core.events import ConfigDoubtful
from jobd.seams import listening, workdir
from jobd.seams.lines import Lines
from jobd.seams.log import Log
from jobd.seams.logstream import of_process
from jobd.seams.program import python_module

ACTIVATED = "activated"
FLAG = "flag"


def command_line(
    file: Path, app: str | None, url: str | None, directory: Path, *, activated: bool
) -> list[str]:
    """Give the command that reads the configuration again with the same flags.

    `activated`: systemd has opened the sockets, and web.bind means nothing. `url` is not in it.
    """
    program = python_module("jobd.cli.effective")
    web = ACTIVATED if activated else ""
    where = FLAG if url else ""
    return [*program, str(workdir.named() / file), app or "", where, str(directory), web]


def read(file: Path, app: str | None, url: str | None, *, role: str) -> Settings:
    """Read file, environment and flags, and warn of what they say. Raises ConfigError."""
    found = settings.whole(file, url=url, app=app)
    require_app(found.config, found.places)
    said = found.config.daemon.log
    log = Log(style=said.format, level=said.level, role=role, fd=of_process())
    for warning in (*warnings(found.config, found.places), *exposed(found)):
        log.paragraph(ConfigDoubtful(why=warning))
    return found


def listen(found: Settings) -> socket | None:
    """Open the address of web.bind, if there is one. Raises ConfigError, with its place."""
    if (address := found.config.web.bind) is None:
        return None
    try:
        return listening.listen(address)
    except ConfigError as refused:
        raise ConfigError(found.placed("web.bind", refused.problems)) from refused


def main(argv: list[str]) -> int:
    """Read, write, and say how it went."""
    file, app, url, directory, web, fd, target = argv[1:]
    channel = Lines.from_fd(int(fd))
    try:
        # A supervisor of an earlier version gives the address itself.
        given = _flag(Path(directory)) if url == FLAG else url or None
        found = read(Path(file), app or None, given, role="reader")
        activated = web == ACTIVATED
        opened = None if activated else _opened(found, Path(directory))
        effective = runtime.effective(found.config, Path(directory), activated=activated)
        runtime.write_effective(effective, Path(target))
    except ConfigError as bad:
        channel.send({"failed": str(bad)})
        return EX_CONFIG
    note = _elsewhere(found, Path(directory))
    channel.send({"ready": {"note": note}}, None if opened is None else opened.detach())
    return 0


def _elsewhere(found: Settings, directory: Path) -> str:
    """Say that the file names another directory than the daemon's, which nobody can move; else ""."""
    named = found.config.daemon.runtime_dir
    if named is None or Path(named).absolute() == directory:
        return ""
    place = found.places.at("daemon.runtime_dir")
    return f"{place}: {named}; the daemon goes on in {directory}; another directory takes a restart"


def _flag(directory: Path) -> str:
    """Give what --redis-url said: it goes before all else, and so the daemon runs with it."""
    before = runtime.read_effective(directory)
    if before is None:
        raise ConfigError(
            f"{directory / runtime.EFFECTIVE}: cannot be read; expected what `jobd run` wrote there, "
            "its --redis-url too; start the daemon again"
        )
    return before.redis.url


def _opened(found: Settings, directory: Path) -> socket | None:
    """Open the address of web.bind, if it is another one than before. Raises ConfigError."""
    before = runtime.read_effective(directory)
    if before is not None and before.web.bind == found.config.web.bind:
        return None
    return listen(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
