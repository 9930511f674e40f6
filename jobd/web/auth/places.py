"""Where a request may come from: the host it names, the page it was sent by. Pure.

Browsers attest both: no page can set Host, Origin or Sec-Fetch-*. What sends neither of the last two is
no browser of the last years, and still needs the session's token for whatever changes something.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from jobd.core.peers import is_loopback
from jobd.web.auth.refused import NotFromHere, WrongHost
from jobd.web.auth.seen import Seen

_PORTS = {"http": "80", "https": "443"}
_PORT = r"(?::(\d{0,5}))?"
_NAMED = re.compile(rf"([a-z0-9._-]+?)\.?{_PORT}", re.IGNORECASE)
_IN_BRACKETS = re.compile(rf"\[([0-9a-f:.]+)\]{_PORT}", re.IGNORECASE)


def check_open(seen: Seen, hosts: Sequence[str]) -> None:
    """Refuse what an open dashboard is not for: all that is not surely of this host. Raises Refused."""
    if not is_loopback(seen.at) or not is_loopback(seen.peer):
        raise WrongHost(
            "this dashboard is open, and served to this host only; expected a loopback address; "
            "let it know its users to serve it beyond"
        )
    if seen.sent_on:
        raise WrongHost(
            "this dashboard is open, and the request came through a proxy; expected none; "
            "let it know its users to serve it behind one"
        )
    # A page elsewhere may let its own name lead here; then its scripts would be of this site.
    if not _is_of_this_host(seen.host, hosts):
        raise WrongHost(
            f"host {seen.host[:80]!r}; expected localhost or 127.0.0.1; add the name to its "
            "`hosts` if it is of this host"
        )
    # A proxy that tells nothing of itself hands on what the browser says of the page it shows.
    for what, page in (("origin", seen.origin), ("referer", seen.referer)):
        if page is not None and not _is_of_this_host(_place(page), hosts):
            raise NotFromHere(
                f"{what} {page[:80]!r}; expected a page of this host; type the address of the dashboard "
                "into the browser, or add the name to its `hosts` if it is of this host"
            )


def check_named(seen: Seen, hosts: Sequence[str]) -> None:
    """Refuse names that are not listed, where some are. Raises WrongHost."""
    if hosts and not _is_of_this_host(seen.host, hosts):
        raise WrongHost(
            f"host {seen.host[:80]!r}; expected one of the dashboard's `hosts`; add it there"
        )


def check_sender(seen: Seen, hosts: Sequence[str]) -> None:
    """Refuse what another site's page sent. Raises NotFromHere."""
    if seen.is_safe:
        # Other sites may lead here, and not use us as a part of their pages.
        if seen.site in ("cross-site", "same-site") and seen.mode != "navigate":
            raise NotFromHere("the request is part of another site's page; expected one of ours")
        return
    if seen.site is not None:
        if seen.site == "same-origin":
            return
        raise NotFromHere("the request comes from another site; expected a page of ours")
    if seen.origin is not None and not _is_ours(seen, hosts):
        raise NotFromHere(
            f"origin {seen.origin[:80]!r}; expected that of the page itself; a proxy in between has to "
            "keep the Host header, or its name has to be in the dashboard's `hosts`"
        )


def _is_ours(seen: Seen, hosts: Sequence[str]) -> bool:
    try:
        origin = urlsplit(seen.origin or "")
        port = origin.port
    except ValueError:
        return False
    if origin.scheme not in _PORTS or (seen.https and origin.scheme != "https"):
        return False
    own = _PORTS[origin.scheme]
    if (origin.hostname or "") in hosts:
        return True
    name, own_port = _parted(seen.host)
    return (origin.hostname, str(port or own)) == (name, own_port or own)


def _is_of_this_host(host: str, hosts: Sequence[str]) -> bool:
    """Say whether a Host header names this very host, or one of the listed names."""
    name, _ = _parted(host)
    return name == "localhost" or is_loopback(name) or name in hosts


def _place(page: str) -> str:
    """Give what stands in a page's address where Host would; nothing where it is no address of the web."""
    try:
        parts = urlsplit(page)
    except ValueError:
        return ""
    return parts.netloc if parts.scheme in _PORTS else ""


def _parted(host: str) -> tuple[str, str]:
    """Give name and port of a Host header: without brackets and a last dot; of what is none, nothing."""
    found = _NAMED.fullmatch(host) or _IN_BRACKETS.fullmatch(host)
    return (found[1].lower(), found[2] or "") if found else ("", "")
