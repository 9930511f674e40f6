"""The address of a server, as people write it: what is refused, and what may be shown of it."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import redis

from jobd.core.errors import ConfigError


def refuse_coming(url: str) -> None:
    """Raise ConfigError for what there will be, and is not yet."""
    scheme = url.partition("://")[0]
    if scheme in {"redis+sentinel", "redis+cluster"}:
        raise ConfigError(
            f"redis.url: {scheme}://; expected redis://, rediss:// or unix://; "
            f"{scheme} is coming in a later release"
        )


def refuse_what_is_ignored(url: str) -> None:
    """Raise ValueError for what redis-py reads as database 0, or finds out when it connects."""
    parts = urlsplit(url)
    database = unquote(parts.path).replace("/", "")
    if parts.scheme in {"redis", "rediss"} and database and not database.isdecimal():
        raise ValueError(f"database {database!r}; expected a number")
    if parts.query:
        pool = redis.ConnectionPool.from_url(url)
        try:
            pool.connection_class(**pool.connection_kwargs)
        except TypeError as error:
            raise ValueError(f"{parts.query!r}: {error}") from error


def bad_url(url: str, error: Exception) -> str:
    """Say what is wrong with a URL, and what one looks like."""
    return (
        f"redis.url: {safe_url(url)!r}; expected redis://host:port/db, rediss://... or unix://path "
        f"({error}); write it as in redis://127.0.0.1:6379/0"
    )


def safe_url(url: str) -> str:
    """Give the URL without its password, for messages and logs."""
    scheme, separator, rest = url.partition("://")
    credentials, at, place = rest.rpartition("@")
    if not at:
        return url
    user = credentials.partition(":")[0]
    return f"{scheme}{separator}{user}:***@{place}"
