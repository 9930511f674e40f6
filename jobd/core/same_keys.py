"""Keys that differ in Python and are one text in JSON: {1: ..., "1": ...}; a reader sees the last alone. Pure.

Invariant: what most payloads are, flat dicts with texts for keys, is told by looking at these keys
only. Used by jobd.client.payload, for whatever is sent or comes back.
"""

from __future__ import annotations

import json

import msgspec

_encoder = msgspec.json.Encoder()


def same_key(raw: bytes, value: object) -> str | None:
    """Name a key that stands twice in one object of `raw`, the JSON of `value`; None: there is none."""
    if not _may_have_one(raw, value):
        return None
    # Read and written again it is as long as it was, or something has gone.
    if len(_encoder.encode(msgspec.json.decode(raw))) == len(raw):
        return None
    found: list[str] = []

    def look(pairs: list[tuple[str, object]]) -> None:
        names = [name for name, _ in pairs]
        found.extend(name for name in set(names) if names.count(name) > 1)

    json.loads(raw, object_pairs_hook=look)
    return found[0] if found else None


def _may_have_one(raw: bytes, value: object) -> bool:
    if b"{" not in raw:
        return False
    if type(value) is not dict or raw.find(b"{", 1) > 0:
        return True
    try:
        "".join(value)
    except TypeError:
        return True
    return False
