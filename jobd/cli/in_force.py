"""The configuration for whoever looks at a daemon or orders it about, when its file is broken too.

That is when people look: a reload was refused, and the file is what it was refused for. What the
daemon runs with lies in its runtime directory (effective.json). Used by status, top, doctor, and the
commands to a running daemon.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import NamedTuple

from jobd.cli import runtime, settings
from jobd.core.config import Config
from jobd.core.errors import ConfigError

# Where a file that is not even TOML says it, most probably.
_RUNTIME_DIR = re.compile(r"""^\s*runtime_dir\s*=\s*(["'])(.+?)\1""", re.MULTILINE)


class InForce(NamedTuple):
    """A configuration, the daemon's directory, and what is wrong with the file, if that is."""

    config: Config
    directory: Path
    problems: list[str]


def find(config_file: str | None, *, url: str | None, runtime_dir: str | None) -> InForce:
    """Read the file, or what the daemon runs with. Raises ConfigError when neither can be used."""
    file = settings.find_file(config_file)
    try:
        config = settings.read(file, url=url)
        return InForce(config, runtime.locate(config, runtime_dir), [])
    except ConfigError as bad:
        directory = directory_of(file, runtime_dir)
        effective = runtime.read_effective(directory)
        if effective is None:
            raise
        return InForce(settings.with_url(effective, url), directory, bad.problems)


def directory_of(file: Path | None, runtime_dir: str | None) -> Path:
    """Name the daemon's directory by a file that may be broken."""
    return runtime.locate(Config(), runtime_dir or (None if file is None else _named_in(file)))


def _named_in(file: Path) -> str | None:
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    try:
        table = tomllib.loads(text).get("daemon")
        named = table.get("runtime_dir") if isinstance(table, dict) else None
        return named if isinstance(named, str) else None
    except tomllib.TOMLDecodeError:
        found = _RUNTIME_DIR.search(text)
        return found[2] if found else None
