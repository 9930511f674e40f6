"""What the user sees while it runs: bars and a short diary on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import deque
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Column
from rich.text import Text

PLAIN_EVERY = 2.0  # seconds between two lines where there is no terminal
_RATE_OVER = 1.0


class Screen:
    """Shows progress by queue. Enter it, call `update` often and `say` when something happens."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._diary = Text()
        self._bars = Progress(
            TextColumn("  {task.description:<8}"),
            BarColumn(bar_width=None, table_column=Column(ratio=1)),
            MofNCompleteColumn(table_column=Column(min_width=11, justify="right")),
            TextColumn("{task.fields[rate]:>7}", table_column=Column(justify="right")),
            console=console,
            expand=True,
        )
        self._live = Live(
            Group(self._bars, self._diary), console=console, refresh_per_second=10, transient=True
        )
        self._rows = {}
        for name in ("mail", "images", "reports"):
            self._rows[name] = self._bars.add_task(name, total=None, rate="")
        self._looks: deque[tuple[float, int]] = deque()
        self._spoken_at = 0.0

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """Add a line to the diary; it stays."""
        line = f"{time.monotonic() - self._began:6.1f} s  {text}"
        self._console.print(escape(line), highlight=False)

    def update(self, done: dict[str, int], added: dict[str, int]) -> None:
        """Show how many jobs of each queue are done, of how many added so far."""
        now, total = time.monotonic(), sum(done.values())
        self._looks.append((now, total))
        while len(self._looks) > 2 and self._looks[0][0] < now - _RATE_OVER:
            self._looks.popleft()
        if not self._console.is_terminal:
            self._speak(now, done, added)
            return
        for name, row in self._rows.items():
            self._bars.update(row, completed=done.get(name, 0), total=added.get(name) or None)
        then, before = self._looks[0]
        rate = (total - before) / (now - then) if now > then else 0.0
        self._diary = Text(f"  {rate:,.0f} jobs a second", style="dim")
        self._live.update(Group(self._bars, self._diary))

    def _speak(self, now: float, done: dict[str, int], added: dict[str, int]) -> None:
        if now - self._spoken_at < PLAIN_EVERY:
            return
        self._spoken_at = now
        self.say("  ".join(f"{q} {done.get(q, 0)}/{added.get(q, 0)}" for q in self._rows))


def span(seconds: float) -> str:
    """Write a time span for people."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"
