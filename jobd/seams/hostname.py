"""This host's name, as it is shown and written everywhere: the one place that asks the system.

The kernel keeps any 64 bytes. Invariant: what is given here can be printed, is UTF-8, and has no space,
so that it fits into a line of words, a key, and a log. Used by whoever says where something happens.
"""

from __future__ import annotations

import socket


def host_name() -> str:
    """Give the host's name, with `_` for what has no place in one."""
    return cleaned(socket.gethostname())


def cleaned(name: str) -> str:
    """Put `_` in the place of spaces and of what cannot be printed: bytes that are no UTF-8, too."""
    return "".join(each if each.isprintable() and each != " " else "_" for each in name)
