"""The reply of a claim, read."""

from __future__ import annotations

from itertools import repeat
from typing import Any

from jobd.broker.commands import Claim, Claimed
from jobd.broker.refusals import not_an_answer
from jobd.broker.replies import refuse_fenced


def read_claim(reply: Any) -> Claim:
    """Read a claim's reply. Raises Fenced; BrokerUnavailable when it cannot be read: it may have claimed."""
    refuse_fenced(reply)
    try:
        return _read(reply)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise not_an_answer("a claim", f"its answer cannot be read: {error}") from error


def _read(reply: Any) -> Claim:
    number, now, within = int(reply[1]), int(reply[2]), reply[5]
    rest = reply[11::5]
    jobs = list(
        map(
            Claimed,
            reply[7::5],
            reply[8::5],
            reply[9::5],
            map(int, reply[10::5]),
            map(_pairs, rest) if any(rest) else repeat(_NOTHING),
            repeat(number),
        )
    )
    return Claim(
        number,
        now,
        _instant(reply[3]),
        jobs,
        reply[4].decode(),
        int(within) if within else None,
        int(reply[6]) - now if reply[6] else 0,
    )


def _instant(score: bytes) -> int | None:
    """Read a score as Redis writes it; None for none, and for one that is no finite number."""
    try:
        return int(float(score))
    except (ValueError, OverflowError):
        return None


_NOTHING: dict[bytes, bytes] = {}


def _pairs(flat: list[bytes] | None) -> dict[bytes, bytes]:
    if not flat:
        return _NOTHING
    return dict(zip(flat[::2], flat[1::2], strict=True))
