"""The address of a server: read for a client, and its files looked at."""

from __future__ import annotations

from pathlib import Path

from jobd.core.errors import ConfigError, OptionError
from jobd.core.redis_urls import RedisUrl, read_redis_url


def read_url(url: str) -> RedisUrl:
    """Read a URL, and see that the files it names can be. Raises ConfigError."""
    try:
        read = read_redis_url(url)
    except OptionError as error:
        raise ConfigError(f"redis.url: {error}") from error
    if problems := unreadable(read):
        raise ConfigError(problems)
    return read


def unreadable(read: RedisUrl) -> list[str]:
    """List what is wrong with the files a URL names, for the user that we are."""
    tls, found = read.tls, []
    named = {
        "ssl_ca_certs": tls.ca_certs, "ssl_certfile": tls.certfile, "ssl_keyfile": tls.keyfile,
    }  # fmt: skip
    for option, path in named.items():
        if path is not None and (why := _why_not(path)):
            found.append(
                f"redis.url: {option}: {path}: {why}; expected a PEM file that this user may read; "
                "correct the path, or who may read it"
            )
    if tls.ca_path is not None and not Path(tls.ca_path).is_dir():
        found.append(
            f"redis.url: ssl_ca_path: {tls.ca_path}: no such directory; expected one of hashed "
            "certificates (openssl rehash); name a file with ssl_ca_certs instead"
        )
    return found


def _why_not(path: str) -> str | None:
    try:
        with Path(path).open("rb") as file:
            text = file.read(1 << 20)
    except OSError as error:
        return error.strerror or str(error)
    return None if b"-----BEGIN " in text else "not PEM"
