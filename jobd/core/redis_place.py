"""Where a Redis is: what may be shown of its address, and whether two addresses name one place. Pure.

Invariant: nothing that is shown holds a password. Used by the command line, and by the supervisor for
what it says of itself.
"""

from __future__ import annotations

from urllib.parse import unquote

from jobd.core.errors import OptionError
from jobd.core.redis_urls import SCHEMES, RedisUrl, read_redis_url


def same_place(one: str, other: str) -> bool | None:
    """Tell whether two addresses, with their passwords or without, name the same jobs; None: unknown.

    Another database is another place, whatever the server. One server may have several names and
    ports, so what is written otherwise may be the same.
    """
    try:
        first, second = read_redis_url(one), read_redis_url(other)
    except OptionError:
        return True if one == other else None
    if first.db != second.db:
        return False
    if first.service != second.service:
        return None
    return True if _servers(first) & _servers(second) else None


def _servers(url: RedisUrl) -> set[tuple[str, int]]:
    return {(url.path, 0)} if url.scheme == "unix" else set(url.places)


def safe_url(url: str) -> str:
    """Give the URL without its passwords, for messages and logs; of one that cannot be read, little."""
    scheme, separator, rest = url.partition("://")
    try:
        read_redis_url(url)
    except OptionError:
        return f"{scheme}://..." if separator and scheme in SCHEMES else "..."
    whole, _, query = rest.partition("?")
    authority, slash, path = whole.partition("/")
    credentials, at, place = authority.rpartition("@")
    user = f"{credentials.partition(':')[0]}:***@" if at else ""
    options = "&".join(map(_masked, query.split("&")))
    return f"{scheme}://{user}{place}{slash}{path}{'?' if options else ''}{options}"


def _masked(option: str) -> str:
    name, is_given, _ = option.partition("=")
    return f"{name}=***" if is_given and "password" in unquote(name).lower() else option
