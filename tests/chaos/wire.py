"""The Redis protocol, as far as a proxy must read it: where does a value end, and what is in it."""

from __future__ import annotations

from typing import Any

from jobd.broker.scripts import BY_SHA


def read_value(data: bytes | bytearray, at: int) -> tuple[Any, int] | None:
    """Read one value; give it and where the next begins, or None when it is not whole yet."""
    line_end = data.find(b"\r\n", at)
    if line_end < 0:
        return None
    kind, rest, after = data[at : at + 1], bytes(data[at + 1 : line_end]), line_end + 2
    if kind in (b"+", b"-"):
        return rest, after
    if kind == b":":
        return int(rest), after
    length = int(rest)
    if length < 0:
        return None, after
    if kind == b"$":
        end = after + length
        return (bytes(data[after:end]), end + 2) if len(data) >= end + 2 else None
    values = []
    for _ in range(length):
        if (read := read_value(data, after)) is None:
            return None
        value, after = read
        values.append(value)
    return values, after


def name_of(command: list[bytes]) -> str:
    """Name a command: a script by its own name, any other by Redis' name."""
    if command[0].upper() == b"EVALSHA" and (script := BY_SHA.get(command[1].decode())):
        return script.name
    return command[0].decode().upper()
