"""The line that a run which ended well leaves in its job's record: where it ran, and for how long.

    <ms that it ran> <number of its claim> <slot> <host>

Only a run of `WORTH_TELLING` or longer writes one, or one that writes more than its end anyway: what
is quicker would pay for it. Short on purpose: Redis keeps a record packed while no field of it is longer
than 64 bytes. Pure. Written by jobd.worker.outcome and settle.lua, read by jobd.broker.views.
"""

from __future__ import annotations

import msgspec

WORTH_TELLING = 0.01
"""Seconds."""

_LARGEST = 2**53  # of our numbers


class Ran(msgspec.Struct, frozen=True):
    """A run that ended well. `token` is the number of its claim."""

    ms: int
    token: int
    slot: str
    host: str


def spell(seconds: float, token: int, slot: str, host: str) -> bytes:
    """Write a run's line."""
    return f"{round(seconds * 1000)} {token} {slot} {host}".encode()


def read_ran(raw: bytes | None) -> Ran | None:
    """Read a run's line; None for none, and for what a stranger has written."""
    parts = (raw or b"").decode("utf-8", "replace").split(" ")
    if len(parts) != 4 or not all(part.isascii() and part.isdigit() for part in parts[:2]):
        return None
    # Longer ones are no time: int() need not look at them.
    ms, token = (int(part) if len(part) <= 16 else _LARGEST + 1 for part in parts[:2])
    return Ran(ms, token, parts[2], parts[3]) if max(ms, token) <= _LARGEST else None
