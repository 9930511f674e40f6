"""Addresses to listen at, as people write them: the only place they are read. And schemes of others."""

from __future__ import annotations

import re

from jobd.core.config_drawn import Drawn

_HIGHEST_PORT = 65535
# What people write for a scheme. With digits and capitals it may be a password at the wrong place.
_SCHEME = re.compile(r"([a-z][a-z+.-]{1,15})://")


def scheme_to_show(url: str) -> str | None:
    """Give the scheme of a wrong URL as a message may name it, or None: it may be a secret."""
    found = None if isinstance(url, Drawn) else _SCHEME.match(url)
    return None if found is None else f"{found[1]}://..."


def split_address(address: str) -> tuple[str, int]:
    """Split 'host:port' or '[::1]:port'. Raises ValueError."""
    host, separator, port = address.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not separator or not (port.isascii() and port.isdecimal()) or int(port) > _HIGHEST_PORT:
        raise ValueError(f"{address!r}; expected host:port")
    if not host or (":" in host and not bracketed):
        raise ValueError(f"{address!r}; expected host:port, as in '[::1]:9180'")
    return host[1:-1] if bracketed else host, int(port)
