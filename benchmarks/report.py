"""The report: Markdown for the file, tables for the terminal. Used by the command line."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from benchmarks.outcome import Outcome, Table

WIDE = 150
SPREAD = re.compile(r" \([^)]*\)$")

HEAD = """\
# Benchmarks of jobd

Written by `make bench`. One machine, one run, one private redis-server on loopback TCP without
persistence (except where a table says otherwise), emptied before each sample. Systems alternate
round by round; a cell is the median of {runs} (least-most), of more where a run is short. A ratio
is taken inside each round before the median. Compare ratios; absolute figures hold for this machine
on this day.

- **jobd**: `jobd run`, executor `inline` (concurrency 1), default retention, leases on; "nothing
  kept" has `retain.completed.count = 0`.
- BullMQ: on Node, concurrency 100 a process, `removeOnComplete`.
- dramatiq: 1 thread, prefetch 128 (its best here); "as it comes": 8 threads, prefetch 16.
- floors: bare redis-py and one list. "one by one": LMOVE, LREM; "one round trip": LREM and BLMOVE
  in one pipeline; "batched x100": a hundred of each in one pipeline; "LPOP COUNT 100" loses what
  it took when it crashes.
"""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """When, where and with what."""

    at: datetime
    machine: str
    redis: str
    versions: Mapping[str, str]
    commit: str
    runs: int
    quick: bool
    command: str


def markdown(outcomes: Sequence[Outcome], about: Circumstances) -> str:
    """The whole report."""
    runs = "one run" if about.runs == 1 else f"{about.runs} runs"
    parts = [HEAD.format(runs=runs), _circumstances(about)]
    if bars := _bars(outcomes):
        parts.append(_table_markdown(bars))
    parts += [_table_markdown(table) for outcome in outcomes for table in outcome.tables]
    if failures := [line for outcome in outcomes for line in outcome.failures]:
        parts.append("## Runs that failed\n\n" + "\n".join(f"- {line}" for line in failures) + "\n")
    return "\n".join(parts)


def _circumstances(about: Circumstances) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in about.versions.items())
    lines = [
        f"- Date: {about.at:%Y-%m-%d %H:%M} UTC",
        f"- Machine: {about.machine}",
        f"- Versions: Redis {about.redis}, {versions}",
        f"- Commit: {about.commit}",
        f"- Command: `{about.command}`",
    ]
    if about.quick:
        lines.append("- **A quick run: too short to quote.**")
    return "\n".join(lines) + "\n"


def _bars(outcomes: Sequence[Outcome]) -> Table | None:
    bars = [bar for outcome in outcomes for bar in outcome.bars]
    if not bars:
        return None
    rows = [
        [
            bar.what,
            f"{bar.sense} {bar.bar:g} {bar.unit}",
            "-" if bar.value is None else bar.value.text(2),
            bar.verdict,
        ]
        for bar in bars
    ]
    return Table("Bars", "What is promised, and what was found.", _BAR_COLUMNS, rows)


_BAR_COLUMNS = ["what", "bar", "found", "verdict"]


def _table_markdown(table: Table) -> str:
    lines = [f"## {table.title}", "", table.intro, "", _row(table.columns)]
    lines.append(_row(["---", *["---:"] * (len(table.columns) - 1)]))
    lines += [_row(row) for row in table.rows]
    lines += ["", *(f"- {note}" for note in table.notes)]
    return "\n".join(lines).rstrip() + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def show(outcome: Outcome, console: Console) -> None:
    """Print the tables of one measure."""
    for table in outcome.tables:
        _print(table, console)


def show_bars(outcomes: Sequence[Outcome], console: Console) -> None:
    """Print the promises and how they were kept."""
    if bars := _bars(outcomes):
        _print(bars, console)


def _print(table: Table, console: Console) -> None:
    """Draw one table; where the terminal is narrow, medians only (the file has the spreads)."""
    narrow = console.width < WIDE
    drawn = RichTable(title=table.title)
    for number, column in enumerate(table.columns):
        first = number == 0
        drawn.add_column(column, justify="left" if first else "right", no_wrap=first)
    for row in table.rows:
        cells = [cell.replace("**", "") for cell in row]
        tail = [SPREAD.sub("", cell) if narrow else cell for cell in cells[1:]]
        drawn.add_row(*(escape(cell) for cell in [cells[0], *tail]))
    console.print(drawn)
    for note in table.notes:
        console.print(note.replace("**", ""), markup=False, highlight=False)
