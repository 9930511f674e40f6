"""Who is at the other end, as addresses say it: of this host or not, behind which proxies.

Invariant: a header is believed only as far as the chain of named proxies reaches: the address that the
last of them saw is the client's, whatever the client itself wrote before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
UNIX = "unix"


def read_address(text: str) -> Address | None:
    """Read an address, with or without brackets and port. None: it is none."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # What comes in at '[::]' from an address of IPv4.
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def is_loopback(text: str) -> bool:
    """Say whether an address can be reached from this host only."""
    found = read_address(text)
    return found is not None and found.is_loopback


def is_proxy(peer: str, proxies: Iterable[str]) -> bool:
    """Say whether a peer is one of the named proxies: addresses, networks, or 'unix'."""
    if peer == UNIX:
        return UNIX in proxies
    address = read_address(peer)
    return address is not None and any(
        address in ip_network(each) for each in proxies if each != UNIX
    )


def client_of(peer: str, forwarded: Sequence[str], proxies: Iterable[str]) -> str:
    """Name the client: of those that X-Forwarded-For names, the last that is no proxy of ours.

    `forwarded` has all of them in their order. Where one is no address, nothing before it counts.
    """
    client = peer
    proxies = tuple(proxies)
    for each in reversed(forwarded):
        if not is_proxy(client, proxies):
            break
        if (address := read_address(each)) is None:
            break
        client = str(address)
    return client


def neighbourhood(client: str) -> str:
    """Give what is counted together: of IPv6 the /64 that one customer has."""
    address = read_address(client)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, 64), strict=False))
    return client if address is None else str(address)
