"""Where Redis is said to be: what cannot be used is refused, and no password is ever shown."""

from __future__ import annotations

from jobd.core.errors import ConfigError


def refuse_coming(url: str) -> None:
    """Raise ConfigError for a kind of address that this release cannot use."""
    scheme = url.partition("://")[0]
    if scheme in {"redis+sentinel", "redis+cluster"}:
        raise ConfigError(
            f"redis.url: {scheme}://; expected redis://, rediss:// or unix://; "
            f"{scheme} is coming in a later release"
        )


def bad_url(url: str, error: Exception) -> str:
    """Say what is wrong with an address that the Redis library cannot read."""
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
