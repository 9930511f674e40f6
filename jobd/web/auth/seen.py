"""What a request says of where it comes from, read once; believed as far as proxies are named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from starlette.requests import HTTPConnection

from jobd.core.peers import UNIX, client_of, is_proxy

SAFE = ("GET", "HEAD", "OPTIONS")
# Whoever sends one of these on is a proxy; so is who sends any X-Forwarded-*.
_FORWARDED = "x-forwarded-"
_SENT_ON = ("forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip")


class Seen(NamedTuple):
    """One request.

    `peer` is who is connected, `client` who it is for. `at` is the address that it came in at, or
    'unix'. `host` is as the request names it, with a port or without. `sent_on`: a proxy had it before;
    `unnamed`: it names a client, and comes from none of the named proxies.
    """

    method: str
    https: bool
    host: str
    at: str
    peer: str
    client: str
    sent_on: bool
    unnamed: bool
    origin: str | None
    referer: str | None
    site: str | None
    mode: str | None

    @property
    def is_safe(self) -> bool:
        """Say whether it only asks."""
        return self.method in SAFE


def seen(request: HTTPConnection, proxies: Sequence[str]) -> Seen:
    """Read a request's head."""
    scope, headers = request.scope, request.headers
    peer = scope["client"][0] if scope.get("client") else UNIX
    server = scope.get("server")
    trusted = is_proxy(peer, proxies)
    forwarded = ",".join(headers.getlist("x-forwarded-for")).split(",") if trusted else []
    scheme = headers.get("x-forwarded-proto", "").rpartition(",")[2].strip() if trusted else ""
    return Seen(
        method=scope.get("method", "GET"),
        https=(scheme or scope.get("scheme", "http")).lower() == "https",
        host=headers.get("host", "").lower(),
        at=server[0] if server and server[1] is not None else UNIX,
        peer=peer,
        client=client_of(peer, [each for each in forwarded if each.strip()], proxies),
        sent_on=any(name in _SENT_ON or name.startswith(_FORWARDED) for name in headers),
        unnamed=not trusted and "x-forwarded-for" in headers,
        origin=headers.get("origin"),
        referer=headers.get("referer"),
        site=headers.get("sec-fetch-site"),
        mode=headers.get("sec-fetch-mode"),
    )
