"""The runtime directory: where a daemon keeps its scoreboard, state and lock.

Order: the flag, daemon.runtime_dir of the file, systemd's RUNTIME_DIRECTORY, and else a private
directory of the user.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import msgspec

from jobd.core.config import Config
from jobd.core.errors import ConfigError
from jobd.core.unreadable import UNREADABLE_JSON

EFFECTIVE = "effective.json"


def locate(config: Config, given: str | None) -> Path:
    """Name the directory without touching it."""
    if chosen := given or config.daemon.runtime_dir:
        return Path(chosen)
    if systemd := os.environ.get("RUNTIME_DIRECTORY"):
        return Path(systemd.partition(":")[0])
    if user := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(user) / "jobd"
    return Path(tempfile.gettempdir()) / f"jobd-{os.getuid()}"


def prepare(directory: Path) -> None:
    """Make the directory, or see that it is ours alone. Raises ConfigError."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.stat(follow_symlinks=False)
        if stat.S_ISLNK(found.st_mode) and found.st_uid in (0, os.getuid()):
            found = directory.stat()
    except OSError as error:
        raise ConfigError(
            f"daemon.runtime_dir: {directory}: {error.strerror}; expected a directory that can be "
            "made and written; create it, or name another one"
        ) from error
    # In a shared /tmp somebody else may have been here first, waiting for our files.
    if found.st_uid != os.getuid() or found.st_mode & 0o022 or not stat.S_ISDIR(found.st_mode):
        raise ConfigError(
            f"daemon.runtime_dir: {directory} belongs to uid {found.st_uid}, mode "
            f"{stat.S_IMODE(found.st_mode):o}; expected a directory of uid {os.getuid()} that no "
            f"other user may write; name one that jobd makes itself, such as {directory / 'jobd'}"
        )


def write_effective(config: Config, target: Path) -> None:
    """Write what the daemon's processes read: 0600, since the URL may hold a password."""
    fresh = target.with_name(f"{target.name}.new")
    fresh.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with open(os.open(fresh, flags, 0o600), "wb") as file:  # noqa: PTH123 - mode set at creation
        file.write(msgspec.json.encode(config))
    fresh.replace(target)


def read_effective(directory: Path) -> Config | None:
    """Read what the daemon of a directory runs with; None when there is nothing that can be read."""
    try:
        return msgspec.json.decode((directory / EFFECTIVE).read_bytes(), type=Config)
    except (OSError, *UNREADABLE_JSON):
        return None


def effective(config: Config, directory: Path, *, activated: bool = False) -> Config:
    """Give the configuration with the directory that was chosen.

    `activated`: systemd has opened the sockets, and the file does not say where we are served.
    """
    daemon = msgspec.structs.replace(config.daemon, runtime_dir=str(directory))
    web = msgspec.structs.replace(config.web, bind=None) if activated else config.web
    return msgspec.structs.replace(config, daemon=daemon, web=web)
