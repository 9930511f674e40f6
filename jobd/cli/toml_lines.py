"""Writing TOML for people: one line a key, with a comment beside it. tomli-w writes each value.

tomli-w knows no comments, and gives tables within a value headers of their own; here they stay inline.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tomli_w

_WIDEST = 44


def assignment(key: str, value: Any) -> str:
    """Write `key = value` on one line."""
    return f"{key_of(key)} = {_inline(value)}"


def key_of(key: str) -> str:
    """Write a key, in quotes where it needs them."""
    return tomli_w.dumps({key: 0}).removesuffix(" = 0\n")


def aligned(lines: Sequence[tuple[str, str]]) -> list[str]:
    """Put comments beside lines, below one another where the lines are not too long."""
    width = max((len(line) for line, _ in lines if len(line) <= _WIDEST), default=0)
    return [f"{line:<{width}}   # {comment}".rstrip() for line, comment in lines]


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        inner = ", ".join(assignment(key, each) for key, each in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    return tomli_w.dumps({"v": value}).removeprefix("v = ").removesuffix("\n")
