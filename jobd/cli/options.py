"""What every command reads the same way: the configuration, with the environment's and the flags' word."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from jobd.core.config import Config, load
from jobd.core.errors import ConfigError

DEFAULT_FILE = "jobd.toml"


def read_config(
    file: str | None, *, redis_url: str | None = None, app: str | None = None
) -> Config:
    """Read the configuration: file < JOBD_REDIS_URL < flags.

    Without `file`, jobd.toml is read where there is one. Raises ConfigError.
    """
    path = Path(file or DEFAULT_FILE)
    try:
        config = load(path.read_text("utf-8"), str(path))
    except FileNotFoundError as error:
        if file is not None:
            raise ConfigError(
                f"configuration: {file!r} does not exist; expected a TOML file; "
                "`jobd init` writes one"
            ) from error
        config = Config()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration: {path} cannot be read: {error}") from error
    url = redis_url or os.environ.get("JOBD_REDIS_URL")
    if url:
        config = msgspec.structs.replace(
            config, redis=msgspec.structs.replace(config.redis, url=url)
        )
    return msgspec.structs.replace(config, app=app) if app else config


def runtime_dir(config: Config) -> Path:
    """Give the runtime directory, made private to this user when it does not exist."""
    named = config.daemon.runtime_dir or os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if named:
        path = Path(named)
    else:
        base = os.environ.get("XDG_RUNTIME_DIR")
        path = Path(base) / "jobd" if base else Path(f"/tmp/jobd-{os.getuid()}")  # noqa: S108
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = path.stat().st_uid
    except OSError as error:
        raise ConfigError(
            f"daemon.runtime_dir: {path} cannot be made: {error}; expected a directory this user "
            "may write; set daemon.runtime_dir"
        ) from error
    if not named and owner != os.getuid():
        raise ConfigError(
            f"daemon.runtime_dir: {path} belongs to uid {owner}; expected one of our own; "
            "set daemon.runtime_dir"
        )
    return path


def write_private(path: Path, value: Any) -> None:
    """Write JSON that only this user may read: it can hold a password."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(msgspec.json.encode(value))
