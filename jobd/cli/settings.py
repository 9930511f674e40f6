"""Where a command's configuration comes from: the file, the environment, the flags.

A flag goes before JOBD_REDIS_URL, which goes before the file. Used by every command.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from jobd.broker.urls import unreadable
from jobd.cli import runtime
from jobd.core.config import Config, reading
from jobd.core.config_drawn import drawn
from jobd.core.config_places import Places
from jobd.core.config_values import redis_url, target
from jobd.core.errors import ConfigError, NotHere, OptionError
from jobd.core.redis_urls import read_redis_url
from jobd.seams import configfile, secretfile

URL_VARIABLE = "JOBD_REDIS_URL"
PLACES = (Path("jobd.toml"), Path("/etc/jobd/jobd.toml"))
_LARGEST = 1024 * 1024


class Settings(NamedTuple):
    """A configuration and where it comes from: the file's places, and what was laid over it.

    `data` is the decoded file, `files` the files that its keys name, `over` the key paths that a flag
    or a variable goes before, with its name.
    """

    config: Config
    places: Places
    data: Mapping[str, object] = {}
    files: Mapping[str, str] = {}
    over: Mapping[str, str] = {}

    def placed(self, path: str, problems: list[str]) -> list[str]:
        """Say where a key is, which problems begin with: in the file, or in what goes before it."""
        place = self.over.get(path) or self.places.at(path)
        return [f"{place}{problem.removeprefix(path)}" for problem in problems]


def find_file(given: str | None) -> Path | None:
    """Name the file to read: the given one, else jobd.toml here or in /etc/jobd, else None."""
    if given is not None:
        return Path(given)
    return next((place for place in PLACES if place.is_file()), None)


def read(file: Path | None, *, url: str | None) -> Config:
    """Read a file (None: the defaults) and lay environment and flag over it. Raises ConfigError.

    For commands beside a daemon: what only the daemon is given, its secrets, may be absent here. Where
    Redis is has then been written down by the daemon.
    """
    try:
        return whole(file, url=url).config
    except NotHere as without:
        needed = any(path.startswith("redis.") for path in without.absent)
        if not needed or named(url):
            return with_url(without.rest.config, url)
        if (running := _of_daemon(without.rest.config)) is None:
            raise
        return running


def whole(file: Path | None, *, url: str | None, app: str | None = None) -> Settings:
    """Read all of it, and where it comes from: for who runs it. Raises ConfigError, also NotHere."""
    if file is None:
        found = Settings(Config(), Places("(no file)"))
    else:
        found = Settings(*reading(_text(file), str(file), secretfile.outside(file)))
    found = laid_over(found, url=url, app=app)
    if problems := unreadable(read_redis_url(found.config.redis.url)):
        raise ConfigError(found.placed("redis.url", problems))
    return found


def laid_over(found: Settings, *, url: str | None, app: str | None) -> Settings:
    """Lay flags and environment over what was read. Raises ConfigError."""
    over = {}
    if (source := named(url)) is not None:
        over["redis.url"] = source[0]
    if app:
        over["app"] = "--app"
    return found._replace(config=with_app(with_url(found.config, url), app), over=over)


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


def named(url: str | None) -> tuple[str, str] | None:
    """Give what goes before the file's redis.url, and its name: the flag, or JOBD_REDIS_URL."""
    given = [("--redis-url", url), (URL_VARIABLE, os.environ.get(URL_VARIABLE))]
    return next(((source, value) for source, value in given if value), None)


def with_url(config: Config, url: str | None) -> Config:
    """Lay JOBD_REDIS_URL and then the flag over the file's redis.url. Raises ConfigError."""
    if (found := named(url)) is None:
        return config
    source, value = found
    try:
        given = drawn(value, URL_VARIABLE) if source == URL_VARIABLE else value
        redis = msgspec.structs.replace(config.redis, url=str(redis_url(given)))
    except OptionError as error:
        raise ConfigError(f"{source}: {error}") from error
    return msgspec.structs.replace(config, redis=redis)


def with_app(config: Config, app: str | None) -> Config:
    """Lay the flag over the file's app. Raises ConfigError."""
    try:
        return msgspec.structs.replace(config, app=target(app)) if app else config
    except OptionError as error:
        raise ConfigError(f"--app: {error}") from error


def _of_daemon(config: Config) -> Config | None:
    """Give what a daemon runs with by this file; None when none does, or by another one."""
    found = runtime.read_effective(runtime.locate(config, None))
    if found is None or found.redis.namespace != config.redis.namespace or found.app != config.app:
        return None
    return found


def _text(file: Path) -> str:
    try:
        raw = configfile.read(file, _LARGEST)
    except TimeoutError as error:
        raise ConfigError(
            f"{file}: {error}; expected a configuration, and its end; see what is to write there, "
            "or name a regular file"
        ) from error
    except FileNotFoundError as error:
        raise ConfigError(
            f"{file}: no such file; expected a configuration; write one with `jobd init`"
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: {error}; expected a readable file of UTF-8 text") from error
    if len(raw) > _LARGEST:
        raise ConfigError(f"{file}: more than {_LARGEST} bytes; expected a configuration")
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{file}:{line}: not UTF-8: byte {raw[error.start]:#04x}; expected a file of UTF-8 text; "
            "correct that line, or save the file as UTF-8"
        ) from error
