"""How hosts are called: by the name of their machine, and by where their daemon runs where two have that name. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from jobd.core.portrait import Host


class Called(NamedTuple):
    """`place`: where its daemon runs, of one whose name another has as well; '' otherwise."""

    name: str
    place: str


def called(hosts: Iterable[Host]) -> Mapping[str, Called]:
    """Name hosts, by their keys."""
    known = list(hosts)
    often = Counter(map(_name, known))
    return {
        host.key: Called(name, _place(host) if often[name] > 1 else "")
        for host in known
        for name in [_name(host)]
    }


def _name(host: Host) -> str:
    return (host.daemon.host if host.daemon else "") or host.key


def _place(host: Host) -> str:
    return (host.daemon.runtime_dir if host.daemon else "") or host.key
