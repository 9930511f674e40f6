"""The working directory of a daemon, by the name it was started under.

Invariant: a daemon remembers the name, not the place. Whatever loads the application enters the name
anew, so that `current -> 2` in the place of `current -> 1`, or a directory that was put in another's
place, is what a reload loads. Used by the command line, the supervisor, and for the doctor.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from jobd.core.errors import ConfigError


def named() -> Path:
    """Name it as whoever started this process did: a shell's PWD, if that is where we are.

    Raises ConfigError where the directory is gone.
    """
    try:
        here = Path.cwd()
    except FileNotFoundError as gone:
        raise ConfigError(
            "working directory: it is gone; expected the one that holds the application; "
            "`cd` to it and start again"
        ) from gone
    said = Path(os.environ.get("PWD", ""))
    with contextlib.suppress(OSError):
        if said.is_absolute() and said.samefile(here):
            return said
    return here


def why_unusable(where: Path) -> str | None:
    """Say why nobody can enter it, and what to do; None when it can be entered."""
    if where.is_dir():
        return None
    return (
        f"working directory {where} is gone; expected the application there; put it back, or start "
        "the daemon again in another"
    )


def enter(where: Path, *, needed: bool) -> None:
    """Go there. Raises OSError if that cannot be and is `needed`."""
    with contextlib.nullcontext() if needed else contextlib.suppress(OSError):
        os.chdir(where)
