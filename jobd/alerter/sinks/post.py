"""One HTTP request that tells a receiver something, whatever the kind of the receiver."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlsplit

import msgspec

from jobd import __version__


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """A request. Holds secrets, in all of its parts: shown is only `to`."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    method: str = "POST"

    def __repr__(self) -> str:
        return f"Post({self.to})"

    @property
    def to(self) -> str:
        """Scheme and host of the address: what may be said of it."""
        return shown(self.url)


def shown(url: str) -> str:
    """Give scheme and host of a URL; its path, query and user may be secrets."""
    try:
        parts = urlsplit(url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return "an unreadable address"
    host = parts.hostname or "?"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"


def json_post(url: str, document: object, *more: tuple[str, str]) -> Post:
    """Make a request with a JSON body."""
    headers = (("content-type", "application/json"), ("user-agent", f"jobd/{__version__}"), *more)
    return Post(url=url, headers=headers, body=msgspec.json.encode(document))


def iso(at_ms: int) -> str:
    """Write an instant: ISO 8601, UTC, with milliseconds."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def cut(text: str, most: int) -> str:
    """Shorten a text to `most` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"
