"""Keys that differ in Python and are one text in JSON: {1: ..., "1": ...}; a reader sees the last alone. Pure.

Invariant: what most payloads are, flat dicts with texts for keys, is told by looking at these keys
only: this is done for every job that is added. Used by jobd.client.payload, for whatever is sent or
comes back.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import msgspec

_encoder = msgspec.json.Encoder()


def same_key(raw: bytes, value: object) -> str | None:
    """Name a key that stands twice in one object of `raw`, the JSON of `value`; None: there is none."""
    inner = raw.rfind(b"{")
    if inner < 0 or (inner == 0 and type(value) is dict and (len(value) == 1 or _are_texts(value))):
        return None
    # Read and written again it is as long as it was, or something has gone.
    if len(_encoder.encode(msgspec.json.decode(raw))) == len(raw):
        return None
    found: list[str] = []

    def look(pairs: list[tuple[str, object]]) -> None:
        times = Counter(name for name, _ in pairs)
        found.extend(name for name, count in times.items() if count > 1)

    json.loads(raw, object_pairs_hook=look)
    return found[0] if found else None


def _are_texts(keys: dict[Any, Any]) -> bool:
    try:
        "".join(keys)  # the quickest way to ask it
    except TypeError:
        return False
    return True
