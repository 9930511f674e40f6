"""The replies of the scripts, read: what each call of `commands` brings back, as values."""

from __future__ import annotations

from typing import Any

from jobd.broker.commands import End
from jobd.broker.meanings import legible
from jobd.core.errors import Fenced


def read_held(reply: Any) -> dict[bytes, int]:
    """Read a reconcile's reply: what is held now, job id -> claim. Raises Fenced."""
    refuse_fenced(reply)
    with legible("a reconcile"):
        return {reply[i]: read_number(reply[i + 1]) for i in range(1, len(reply), 2)}


def read_ends(reply: list[list[bytes]]) -> list[End]:
    """Read the answers of an await."""
    with legible("a look for ends"):
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
