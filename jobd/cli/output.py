"""What commands print: JSON for programs, tables and times for people.

Invariant: what people are shown is printable. A task's error may hold anything, and a terminal
obeys escape sequences. JSON has its own way of writing them.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from typing import Any

import click
import msgspec

from jobd.core.durations import words
from jobd.seams import clock

_LAST_INSTANT = 253_402_300_799_000  # ms; the end of the year 9999


def print_json(data: Any) -> None:
    """Print one JSON document."""
    click.echo(msgspec.json.format(msgspec.json.encode(data), indent=2))


def printable(value: object) -> str:
    """Write a value so that a terminal shows it and does nothing else; on one line."""
    return "".join(char if char.isprintable() else _escaped(char) for char in str(value))


def paragraph(text: str, indent: str = "") -> None:
    """Print a sentence, indented; on a terminal between words, so that it stays in its column."""
    text = printable(text)
    if sys.stdout.isatty():
        width = max(40, shutil.get_terminal_size().columns)
        text = textwrap.fill(
            text, width, initial_indent=indent, subsequent_indent=indent + "  ",
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
    else:
        text = indent + text
    click.echo(text)


def when(at_ms: object) -> str:
    """Write an instant (ms since 1970) in the local time zone, with how far away it is."""
    if not isinstance(at_ms, int) or not 0 <= at_ms <= _LAST_INSTANT:
        return printable(at_ms)
    at = clock.utc(at_ms / 1000).astimezone().isoformat(" ", "seconds")
    span = clock.wall() - at_ms / 1000
    return f"{at} ({words(span)} ago)" if span >= 0 else f"{at} (in {words(-span)})"


def _escaped(char: str) -> str:
    if char == "\t":
        return "    "
    return char.encode("unicode_escape", "backslashreplace").decode("ascii")
