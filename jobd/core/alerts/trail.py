"""Numbers that only ever grow, followed: what came on top within the last while.

The memory of rules that count events. It is part of a rule's state, so whoever evaluates next goes on
counting where the last one was. Bounded: events close together are one entry.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

_PARTS = 20  # entries within 1/20 of the window are one
_MOST = 1000


class Trail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`last`: each number as it was; `grown`: (at ms, name, by how much), the oldest first."""

    last: dict[str, int] = {}
    grown: list[tuple[int, str, int]] = []


def follow(
    trail: Trail | None, counts: Mapping[str, int], now: int, window_ms: int
) -> tuple[Trail, dict[str, int]]:
    """Take in the numbers as they are now; give by how much each grew within the window.

    One that was not there before, or has become smaller, begins anew: nobody knows what of it is new.
    """
    last = {} if trail is None else trail.last
    grown = [] if trail is None else [each for each in trail.grown if each[0] > now - window_ms]
    for name, count in counts.items():
        if (more := count - last.get(name, count)) > 0:
            _add(grown, now, name, more, window_ms)
    recent: dict[str, int] = {}
    for _, name, n in grown:
        recent[name] = recent.get(name, 0) + n
    return Trail(last=dict(counts), grown=grown[-_MOST:]), recent


def _add(grown: list[tuple[int, str, int]], now: int, name: str, n: int, window_ms: int) -> None:
    for at in range(len(grown) - 1, -1, -1):
        when, who, before = grown[at]
        if when < now - window_ms // _PARTS:
            break
        if who == name:
            grown[at] = (when, name, before + n)
            return
    grown.append((now, name, n))
