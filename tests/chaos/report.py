"""The figures of the rows, collected while they run and printed at the end."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One line of the table."""

    what: str
    bar: str
    figures: str
    n: int


ROWS: list[Row] = []


def percentile(values: list[float], share: float) -> float:
    """The value below which this share lies, the nearest one from above."""
    line = sorted(values)
    return line[min(len(line) - 1, int(len(line) * share))]


def table() -> str:
    """All rows as Markdown."""
    lines = ["| what | bar | figures | n |", "|---|---|---|---|"]
    lines += [f"| {row.what} | {row.bar} | {row.figures} | {row.n} |" for row in ROWS]
    return "\n".join(lines)
