"""HTML in parts, so that only those that changed are sent again.

A template encloses an element that has an id in `part(id)` and `endpart()`; a part has no part within.
What stands around them is the skeleton. Escaped text cannot spell the marks. Pure.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from markupsafe import Markup

_PART = re.compile(r"<!--part ([A-Za-z0-9_.:-]+)-->(.*?)<!--/part-->", re.DOTALL)
_SAFE = re.compile(r"[A-Za-z0-9_.:-]+")


class Parts(NamedTuple):
    """Rendered HTML: the skeleton has a mark where each part belongs."""

    skeleton: str
    parts: dict[str, str]


class Change(NamedTuple):
    """What somebody lacks who has seen an earlier state: `whole` is all of it, where more than parts changed."""

    whole: str | None
    parts: dict[str, str]


def part(name: str) -> Markup:
    """Begin the part that is the element of this id. Raises ValueError for what is no id."""
    if not _SAFE.fullmatch(name):
        raise ValueError(f"part: {name!r}; expected letters, digits and _ . : -")
    return Markup(f"<!--part {name}-->")  # noqa: S704 - checked above


def endpart() -> Markup:
    """End a part."""
    return Markup("<!--/part-->")


def split(html: str) -> Parts:
    """Take HTML apart."""
    parts: dict[str, str] = {}

    def keep(found: re.Match[str]) -> str:
        parts[found[1]] = found[2].strip()
        return f"<!--part {found[1]}-->"

    return Parts(_PART.sub(keep, html), parts)


def joined(html: str) -> str:
    """Give the HTML without marks."""
    return _PART.sub(lambda found: found[2], html)


def change(before: Parts | None, after: Parts, html: str) -> Change | None:
    """Say what changed; None where nothing did. `html` is the whole, with marks."""
    if before is None or before.skeleton != after.skeleton:
        return Change(joined(html), {})
    changed = {name: text for name, text in after.parts.items() if before.parts[name] != text}
    return Change(None, changed) if changed else None
