"""The configuration for whoever looks at a daemon or orders it about, when its file is broken too.

That is when people look: a reload was refused, and the file is what it was refused for. What the
daemon runs with lies in its runtime directory (effective.json). Used by status, top, doctor, and the
commands to a running daemon.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import NamedTuple

from jobd.cli import runtime, settings
from jobd.cli.settings import Settings
from jobd.core.config import Config
from jobd.core.config_drawn import draw
from jobd.core.errors import ConfigError, NotHere

# Where a file that is not even TOML says it, most probably.
_RUNTIME_DIR = re.compile(r"""^\s*runtime_dir\s*=\s*(["'])(.+?)\1""", re.MULTILINE)


class InForce(NamedTuple):
    """A configuration, the daemon's directory, and what is wrong with the file, if that is.

    `settings`: the file as it was read; None when it is not what is in force.
    """

    config: Config
    directory: Path
    problems: list[str]
    settings: Settings | None = None


def find(config_file: str | None, *, url: str | None, runtime_dir: str | None) -> InForce:
    """Read the file, or what the daemon runs with. Raises ConfigError when neither can be used."""
    file = settings.find_file(config_file)
    try:
        found = settings.whole(file, url=url)
        return InForce(found.config, runtime.locate(found.config, runtime_dir), [], found)
    except ConfigError as bad:
        directory = directory_of(file, runtime_dir)
        effective = runtime.read_effective(directory)
        # A secret that only the daemon is given is nothing wrong with the file.
        problems = [] if isinstance(bad, NotHere) else bad.problems
        if effective is None and not problems:
            return InForce(settings.read(file, url=url), directory, [])
        if effective is None:
            raise
        return InForce(settings.with_url(effective, url), directory, problems)


def directory_of(file: Path | None, runtime_dir: str | None) -> Path:
    """Name the daemon's directory by a file that may be broken."""
    return runtime.locate(Config(), runtime_dir or (None if file is None else _named_in(file)))


def _named_in(file: Path) -> str | None:
    if not file.is_file():  # what a pipe had to say it has said
        return None
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, ValueError):
        return None
    try:
        data = draw(tomllib.loads(text), os.environ)
    except (ValueError, RecursionError):
        found = _RUNTIME_DIR.search(text)
        named = found[2] if found else None
    else:
        table = data.get("daemon")
        named = table.get("runtime_dir") if isinstance(table, dict) else None
    return str(named) if isinstance(named, str) and named.isprintable() else None
