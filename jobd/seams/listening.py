"""The socket that health, metrics and dashboard are served on: opened once, and held by the supervisor.

Whoever serves is a process that may be replaced; the socket is not, so that nobody is refused meanwhile,
and an address that cannot be used is an error where the configuration is read. It is opened by `jobd
run`, or by systemd (sd_listen_fds(3)), and travels by descriptor. The supervisor only hands it on.
"""

from __future__ import annotations

import os
import socket

from jobd.core.addresses import split_address
from jobd.core.errors import ConfigError

_HANDED_OVER = "JOBD_WEB_FDS"
_FIRST = 3
_BACKLOG = 512
_ANYWHERE = "::"


def listen(address: str) -> socket.socket:
    """Open a listening socket: of a name's addresses the first of IPv4; at '[::]' IPv4's too.

    Raises ConfigError for an address that cannot be had.
    """
    host, port = split_address(address)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, place = min(found, key=lambda each: each[0] != socket.AF_INET)
        both = place[0] == _ANYWHERE and socket.has_dualstack_ipv6()
        return socket.create_server(place, family=family, backlog=_BACKLOG, dualstack_ipv6=both)
    except OSError as refused:
        # Python adds what it was about to do; a name that is not known has no number of the system's.
        known = refused.errno is not None and refused.errno > 0
        why = os.strerror(refused.errno or 0) if known else refused.strerror
        raise ConfigError(
            f"web.bind: {address!r}: {why}; expected an address of this machine that "
            "is free; see who has it with `ss -ltnp`, or name another one"
        ) from refused


def listen_about(address: str) -> socket.socket:
    """Open that address, or another port of its host where that is taken. Raises ConfigError."""
    try:
        return listen(address)
    except ConfigError:
        return listen(f"{address.rpartition(':')[0]}:0")


def hand_over(sockets: list[socket.socket]) -> list[int]:
    """Keep these for the program that this process becomes, or starts with these descriptors."""
    for each in sockets:
        each.set_inheritable(True)
    fds = [each.detach() for each in sockets]
    os.environ[_HANDED_OVER] = ",".join(map(str, fds))
    return fds


def are_activated() -> bool:
    """Say whether systemd has opened sockets for this process."""
    return os.environ.get("LISTEN_PID") == str(os.getpid()) and _count() > 0


def check_activated() -> None:
    """See that what systemd says to have opened are sockets that listen. Raises ConfigError."""
    for fd in range(_FIRST, _FIRST + _count()) if are_activated() else ():
        if (what := _unfit(fd)) is not None:
            raise ConfigError(
                f"LISTEN_FDS: {_count()}; descriptor {fd} is {what}; expected descriptors "
                f"{_FIRST} to {_FIRST + _count() - 1} to be stream sockets that listen; see "
                "ListenStream= of the socket unit, or unset LISTEN_FDS"
            )


def _unfit(fd: int) -> str | None:
    """Say what a descriptor is, when it is no stream socket that listens."""
    try:
        kept = os.dup(fd)
    except OSError:
        return "not open"
    try:
        with socket.socket(fileno=kept) as sock:
            if sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) != socket.SOCK_STREAM:
                return "a socket of another type"
            if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                return "a socket that does not listen"
    except OSError:
        os.close(kept)
        return "no socket"
    return None


def inherited() -> list[int]:
    """Take over what was opened for this process; the variables that say so are taken out."""
    numbers = range(_FIRST, _FIRST + _count()) if are_activated() else ()
    handed = os.environ.pop(_HANDED_OVER, "")
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    found = [*numbers, *(int(fd) for fd in handed.split(",") if fd.isdecimal())]
    for fd in found:
        os.set_inheritable(fd, False)
    return found


def _count() -> int:
    said = os.environ.get("LISTEN_FDS", "")
    return int(said[:9]) if said.isdecimal() else 0
