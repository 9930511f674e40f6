"""Tables for people: aligned columns, and a remark that may go below its line.

Invariant: nothing is cut or folded where no terminal sets a limit, and the first column never: names
and ids are there to be copied. On a terminal too narrow, remarks go below their lines, and then the
columns named elastic are shortened.
"""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence

import click

from jobd.cli.output import printable

_BETWEEN = "  "
_BELOW = "    "
_SHORTEST = 12


def print_table(
    heads: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    elastic: Sequence[str] = (),
    spare: Sequence[str] = (),
    remark: str | None = None,
) -> None:
    """Print a table. Numbers stand to the right. `remark` heads a last cell more in each row."""
    width = _terminal_width()
    lines = table_lines(heads, rows, width=width, elastic=elastic, spare=spare, remark=remark)
    for at, line in enumerate(lines):
        _print(line, head=at == 0)


def table_lines(
    heads: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    width: int | None,
    elastic: Sequence[str] = (),
    spare: Sequence[str] = (),
    remark: str | None = None,
) -> list[str]:
    """Give a table's lines, its heads first, for a terminal of so many columns (None: for none).

    Where that is too narrow, the columns named `spare` are left out, one after another.
    """
    kinds = [list(row) for row in rows]
    heads = list(heads)
    while width is not None and spare:
        if _total(_sizes(heads, _texts(kinds))) <= width:
            break
        gone, *spare = spare
        if gone in heads:
            at = heads.index(gone)
            del heads[at]
            for row in kinds:
                del row[at]
    return _laid_out(heads, kinds, width, elastic, remark)


def _laid_out(
    heads: list[str],
    kinds: list[list[object]],
    width: int | None,
    elastic: Sequence[str],
    remark: str | None,
) -> list[str]:
    lines = _texts(kinds)
    right = [_numeric([row[i] for row in kinds]) for i in range(len(heads))]
    with_remarks = remark is not None and any(line[-1] for line in lines)
    inline = [*heads, *([remark] if with_remarks and remark else [])]
    sizes = _sizes(inline, lines)
    below = with_remarks and width is not None and _total(sizes) > width
    if below:
        inline, sizes = list(heads), sizes[:-1]
    if width is not None:
        _shorten(inline, sizes, elastic, width)
    found = [_spelled(inline, sizes, [*right, False])]
    for line in lines:
        found.append(_spelled(line[: len(inline)], sizes, [*right, False]))
        if below and line[-1]:
            found.append(cropped(_BELOW + line[-1], width or 0))
    return found


def _numeric(cells: Sequence[object]) -> bool:
    """Say whether a column holds numbers, and nothing else that is shown."""
    shown = [cell for cell in cells if cell is not None]
    return bool(shown) and all(isinstance(cell, int | float) for cell in shown)


def _texts(rows: Iterable[Sequence[object]]) -> list[list[str]]:
    return [["" if cell is None else printable(cell) for cell in row] for row in rows]


def _terminal_width() -> int | None:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _sizes(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> list[int]:
    return [
        max(_cells(head), *(_cells(line[i]) for line in lines), 0) for i, head in enumerate(heads)
    ]


def _total(sizes: Sequence[int]) -> int:
    return sum(sizes) + len(_BETWEEN) * (len(sizes) - 1)


def _shorten(heads: Sequence[str], sizes: list[int], elastic: Sequence[str], width: int) -> None:
    for name in elastic:
        excess = _total(sizes) - width
        if excess > 0 and name in heads:
            at = list(heads).index(name)
            sizes[at] = min(sizes[at], max(_SHORTEST, sizes[at] - excess))


def _spelled(cells: Sequence[str], sizes: Sequence[int], right: Sequence[bool]) -> str:
    parts = []
    for cell, size, is_number in zip(cells, sizes, right, strict=False):
        text = cropped(cell, size)
        padding = " " * (size - _cells(text))
        parts.append(padding + text if is_number else text + padding)
    return _BETWEEN.join(parts).rstrip()


def cropped(text: str, size: int) -> str:
    """Cut a text to so many cells of a terminal, with a mark where something is missing."""
    if _cells(text) <= size:
        return text
    while text and _cells(text) > size - 1:
        text = text[:-1]
    return text + "…"


def _cells(text: str) -> int:
    """Count the cells a text takes on a terminal: wide characters take two, marks none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )


def _print(text: str, *, head: bool = False) -> None:
    bold = head and sys.stdout.isatty() and "NO_COLOR" not in os.environ
    click.echo(click.style(text, bold=True) if bold else text)
