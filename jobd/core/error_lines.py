"""The first line of an error, and its shape: what errors of one kind have in common.

Numbers, ids and addresses differ from run to run and say nothing of what went wrong. The name of an
error's type, which stands before the first colon, is no such thing, whatever digits it has. Pure.
"""

from __future__ import annotations

import re

LONGEST = 200
"""Characters of a line that lists show."""

_VARYING = re.compile(
    r"""
    [0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}   # UUID
    | 0x[0-9a-fA-F]+                                                              # address
    | \b(?=[a-f]*[0-9])[0-9a-f]{12,}\b                                            # digest, id
    | [0-9]+(?:[.:,_][0-9]+)*                                                     # number, time, IP
    """,
    re.VERBOSE,
)
# What an error's line begins with: the name of its type. Of such digits nothing is folded.
_TYPE = re.compile(r"[A-Za-z_][\w.]*(?=:\s|$| \()")
# Of a very long line so much is looked at: whoever is told apart only behind it is not.
_LOOKED_AT = 500


def first_line(error: str) -> str:
    """Give the first line that says anything, cut to what lists show."""
    line = _first(error)
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def shape(error: str) -> str:
    """Give the first line with each number, id and address as `#`, cut to what lists show; as it is the
    name of the error's type that it begins with."""
    line = _first(error)[:_LOOKED_AT]
    named = _TYPE.match(line)
    begin = named.end() if named else 0
    folded = line[:begin] + _VARYING.sub("#", line[begin:])
    return folded if len(folded) <= LONGEST else folded[: LONGEST - 1] + "…"


def _first(error: str) -> str:
    # Most say it at once: the rest of a long text is not looked at.
    head = error[: 2 * _LOOKED_AT].splitlines()
    if len(head) > 1 and (line := head[0].strip()):
        return line
    return next((line for part in error.splitlines() if (line := part.strip())), "")
