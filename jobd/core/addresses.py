"""Addresses to listen at, as people write them: the only place they are read."""

from __future__ import annotations

_HIGHEST_PORT = 65535


def split_address(address: str) -> tuple[str, int]:
    """Split 'host:port' or '[::1]:port'. Raises ValueError."""
    host, separator, port = address.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not separator or not (port.isascii() and port.isdecimal()) or int(port) > _HIGHEST_PORT:
        raise ValueError(f"{address!r}; expected host:port")
    if not host or (":" in host and not bracketed):
        raise ValueError(f"{address!r}; expected host:port, as in '[::1]:9180'")
    return host[1:-1] if bracketed else host, int(port)
