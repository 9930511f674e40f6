"""Which network addresses notifications may go to: a name in a URL must not lead into one's own network.

Invariant: an IPv6 address that carries an IPv4 one is judged by that, too. `allow_private` opens what
belongs to a private network or this host; nothing opens what no receiver of alerts ever has.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address

# Where clouds give out credentials to whoever asks from within. Some lie in ranges that are private
# otherwise, one in a public range.
_METADATA = frozenset(
    map(ip_address, ("169.254.169.254", "169.254.170.2", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"))
)  # fmt: skip

# What each range is called, and whether `allow_private` opens it.
_RANGES: list[tuple[IPv4Network | IPv6Network, str, bool]] = [
    (ip_network(net), what, opens)
    for what, opens, nets in (
        ("unspecified", False, ("0.0.0.0/8", "::/128")),
        ("loopback", True, ("127.0.0.0/8", "::1/128")),
        ("private", True, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10")),
        ("shared (carrier-grade NAT)", True, ("100.64.0.0/10",)),
        ("link-local", True, ("169.254.0.0/16", "fe80::/10")),
        ("multicast", False, ("224.0.0.0/4", "ff00::/8")),
        ("reserved", False, (
            "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
            "203.0.113.0/24", "240.0.0.0/4", "100::/64", "2001:db8::/32", "3fff::/20", "5f00::/16",
        )),
    )
    for net in nets
]  # fmt: skip

# IPv6 ranges that hold an IPv4 address, and how many bits stand to the right of it.
_CARRIERS: list[tuple[IPv6Network, int]] = [
    (IPv6Network("::ffff:0:0/96"), 0),
    (IPv6Network("::ffff:0:0:0/96"), 0),
    (IPv6Network("::/96"), 0),
    (IPv6Network("::ffff:0:0:0/96"), 0),
    (IPv6Network("64:ff9b::/96"), 0),
    (IPv6Network("64:ff9b:1::/48"), 0),
    (IPv6Network("2002::/16"), 80),
]
_TEREDO = IPv6Network("2001::/32")


def why_refused(text: str, *, allow_private: bool) -> str | None:
    """Say why nothing is sent to an address, as in "loopback"; None where it may be.

    Raises ValueError for what is no address.
    """
    address = ip_address(text)
    if isinstance(address, IPv6Address):
        address = IPv6Address(int(address))  # without the name of an interface
    found = [_kind(each) for each in (address, *_within(address))]
    for kind in found:
        if kind is not None and not (allow_private and kind[1]):
            return kind[0]
    return None


def _kind(address: Address) -> tuple[str, bool] | None:
    if address in _METADATA:
        return "a cloud's metadata service", False
    for net, what, opens in _RANGES:
        if address.version == net.version and address in net:
            return what, opens
    carries = any(address in net for net, _ in _CARRIERS) or address in _TEREDO
    return None if address.is_global or carries else ("reserved", False)


def _within(address: Address) -> list[IPv4Address]:
    """Give the IPv4 addresses that an IPv6 address carries."""
    if isinstance(address, IPv4Address) or int(address) <= 1:
        return []
    if address in _TEREDO:
        return [
            IPv4Address(int(address) >> 64 & 0xFFFFFFFF),
            IPv4Address(~int(address) & 0xFFFFFFFF),
        ]
    return [
        IPv4Address(int(address) >> shift & 0xFFFFFFFF)
        for net, shift in _CARRIERS
        if address in net
    ]
