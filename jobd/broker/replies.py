"""The replies of the scripts, read: what each call of `commands` brings back, as values."""

from __future__ import annotations

from itertools import repeat
from typing import Any

from jobd.broker.commands import Claim, Claimed, End
from jobd.core.errors import Fenced


def read_claim(reply: Any) -> Claim:
    """Read a claim's reply. Raises Fenced."""
    refuse_fenced(reply)
    number, due = int(reply[1]), reply[3]
    jobs = list(
        map(
            Claimed,
            reply[4::5],
            reply[5::5],
            reply[6::5],
            map(int, reply[7::5]),
            map(_pairs, reply[8::5]),
            repeat(number),
        )
    )
    return Claim(number, int(reply[2]), _instant(due), jobs)


def read_held(reply: Any) -> dict[bytes, int]:
    """Read a reconcile's reply: what is held now, job id -> claim. Raises Fenced."""
    refuse_fenced(reply)
    return {reply[i]: read_number(reply[i + 1]) for i in range(1, len(reply), 2)}


def read_ends(reply: list[list[bytes]]) -> list[End]:
    """Read the answers of an await."""
    return [End(answer[0].decode(), *answer[1:]) for answer in reply]


def read_number(claim: bytes) -> int:
    """Read a claim's number; 0, which is none, for what is no number."""
    return int(claim) if claim.isdigit() and len(claim) <= 16 else 0


def refuse_fenced(reply: Any) -> None:
    """Raise Fenced when the reply says that the lease is closed or gone."""
    if reply[0] == b"fenced":
        raise Fenced(
            "lease: closed or gone; expected an open one; this incarnation must not act again"
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
