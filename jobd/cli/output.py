"""What commands print: JSON for programs, tables for people."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobd.seams import clock

# Wide enough that nothing is cut where no terminal sets a limit: ids are there to be copied.
_UNLIMITED = 1000


def print_json(data: Any) -> None:
    """Print one JSON document."""
    click.echo(msgspec.json.format(msgspec.json.encode(data), indent=2))


def print_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table. Numbers stand to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    lines = [list(row) for row in rows]
    for index, head in enumerate(heads):
        numbers = all(isinstance(line[index], int | float) for line in lines)
        table.add_column(head, justify="right" if numbers and lines else "left", overflow="fold")
    for line in lines:
        # Text and not markup: a task's error may hold [brackets].
        table.add_row(*(Text(str(cell)) for cell in line))
    console = Console(width=None if sys.stdout.isatty() else _UNLIMITED, highlight=False)
    with console.capture() as captured:
        console.print(table)
    for text in captured.get().splitlines():
        click.echo(text.rstrip())


def when(at_ms: int | None) -> str:
    """Write an instant (ms since 1970) in the local time zone."""
    if at_ms is None:
        return ""
    return clock.utc(at_ms / 1000).astimezone().isoformat(" ", "seconds")
