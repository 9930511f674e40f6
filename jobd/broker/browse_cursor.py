"""Where a list goes on: a place in a container, as text that a link can carry.

A place is a score and an id, not a number of jobs, so it means the same however many come and go
before it. Invariant: whatever text comes back, it is read as a place or refused, never sent on.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NoReturn

import msgspec

from jobd.core.errors import OptionError
from jobd.core.unreadable import UNREADABLE_JSON

_SCORE = re.compile(rb"-?(inf|[0-9]{1,25}(\.[0-9]{1,25})?(e[+-]?[0-9]{1,3})?)")
_MOST = 65_536  # characters; an id of ours has at most 128 bytes, a stranger's any number


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Behind this job. `worker` is who holds it, where a list goes over workers."""

    score: bytes
    id: bytes
    worker: bytes = b""


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a list of one state goes on; `as_of` is when it began, ms, where it asks for ages."""

    state: str
    as_of: int
    place: Place


def write(cursor: Cursor) -> str:
    """Spell it."""
    return urlsafe_b64encode(msgspec.msgpack.encode(cursor)).decode().rstrip("=")


def read(text: str, state: str) -> Cursor:
    """Read what `write` gave for this state. Raises OptionError."""
    if len(text) > _MOST:
        _refuse(text)
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        cursor = msgspec.msgpack.decode(raw, type=Cursor)
    except (ValueError, *UNREADABLE_JSON):
        _refuse(text)
    if cursor.state != state or not _SCORE.fullmatch(cursor.place.score):
        _refuse(text)
    return cursor


def _refuse(text: str) -> NoReturn:
    raise OptionError(
        f"cursor: {text!r:.60}; expected one that a page of this state gave; "
        "begin without one, at the first page"
    )
