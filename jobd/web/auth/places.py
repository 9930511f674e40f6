"""Where a request may come from: the host it names, the page it was sent by. Pure.

Browsers attest both: no page can set Host, Origin or Sec-Fetch-*. What sends neither of the last two is
no browser of the last years, and still needs the session's token for whatever changes something.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from jobd.core.peers import is_loopback
from jobd.web.auth.refused import NotFromHere, WrongHost
from jobd.web.auth.seen import Seen

_PORTS = {"http": "80", "https": "443"}


def check_open(seen: Seen, hosts: Sequence[str]) -> None:
    """Refuse what an open dashboard is not for: all that is not surely of this host. Raises WrongHost."""
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
    name = _name(seen.host)
    if name != "localhost" and not is_loopback(name) and name not in hosts:
        raise WrongHost(
            f"host {seen.host[:80]!r}; expected localhost or 127.0.0.1; add the name to its "
            "`hosts` if it is of this host"
        )


def check_named(seen: Seen, hosts: Sequence[str]) -> None:
    """Refuse names that are not listed, where some are. Raises WrongHost."""
    name = _name(seen.host)
    if hosts and name not in hosts and name != "localhost" and not is_loopback(name):
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
    return (origin.hostname, str(port or own)) == (_name(seen.host), _port(seen.host) or own)


def _name(host: str) -> str:
    """Give the name of a Host header: without port, brackets and a last dot."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].removesuffix(".")


def _port(host: str) -> str:
    return host.rpartition("]")[2].partition(":")[2]
