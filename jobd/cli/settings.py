"""Where a command's configuration comes from: the file, the environment, the flags.

A flag goes before JOBD_REDIS_URL, which goes before the file. Used by every command.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from jobd.broker.urls import unreadable
from jobd.core.config import Config, load
from jobd.core.config_values import redis_url, target
from jobd.core.errors import ConfigError, OptionError
from jobd.core.redis_urls import read_redis_url

URL_VARIABLE = "JOBD_REDIS_URL"
PLACES = (Path("jobd.toml"), Path("/etc/jobd/jobd.toml"))


def find_file(given: str | None) -> Path | None:
    """Name the file to read: the given one, else jobd.toml here or in /etc/jobd, else None."""
    if given is not None:
        return Path(given)
    return next((place for place in PLACES if place.is_file()), None)


def read(file: Path | None, *, url: str | None) -> Config:
    """Read a file (None: the defaults) and lay environment and flag over it. Raises ConfigError."""
    config = with_url(Config() if file is None else load(_text(file), str(file)), url)
    if problems := unreadable(read_redis_url(config.redis.url)):
        raise ConfigError(problems)
    return config


def required(given: str | None) -> Path:
    """Name the file to read, for commands that need one. Raises ConfigError."""
    file = find_file(given)
    if file is None:
        raise ConfigError(
            f"config: none of {', '.join(map(str, PLACES))} exists; expected a file; "
            "name it with -c, write one with `jobd init`, "
            "or run without one by `jobd dev module:attribute`"
        )
    return file


def with_url(config: Config, url: str | None) -> Config:
    """Lay JOBD_REDIS_URL and then the flag over the file's redis.url. Raises ConfigError."""
    named = [("--redis-url", url), (URL_VARIABLE, os.environ.get(URL_VARIABLE))]
    for source, value in named:
        if value:
            try:
                redis = msgspec.structs.replace(config.redis, url=redis_url(value))
            except OptionError as error:
                raise ConfigError(f"{source}: {error}") from error
            return msgspec.structs.replace(config, redis=redis)
    return config


def with_app(config: Config, app: str | None) -> Config:
    """Lay the flag over the file's app. Raises ConfigError."""
    try:
        return msgspec.structs.replace(config, app=target(app)) if app else config
    except OptionError as error:
        raise ConfigError(f"--app: {error}") from error


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except FileNotFoundError as error:
        raise ConfigError(
            f"{file}: no such file; expected a configuration; write one with `jobd init`"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {error}; expected a readable file of UTF-8 text") from error
