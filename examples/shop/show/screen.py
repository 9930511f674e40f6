"""What the user sees while it runs: bars and a short diary on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

QUEUES = ("mail", "images", "reports")
PLAIN_EVERY = 2.0  # seconds between two lines where there is no terminal
_RATE_OVER = 1.0


class Screen:
    """Shows progress by queue. Enter it, call `update` often and `say` when something happens."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._bars = Progress(
            TextColumn("  {task.description:<8}"),
            BarColumn(bar_width=None, table_column=Column(ratio=1)),
            TextColumn("{task.completed:>6,} of {task.total:>6,}"),
            TextColumn("{task.fields[rate]:>5,.0f}/s "),
            expand=True,
        )
        self._live = Live(self._bars, console=console, refresh_per_second=10, transient=True)
        self._rows = {name: self._bars.add_task(name, total=0, rate=0) for name in QUEUES}
        self._looks: deque[tuple[float, dict[str, int]]] = deque()
        self._spoken_at = 0.0

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the bars away; what was said stays."""
        self._live.stop()

    def say(self, text: str) -> None:
        """Add a line to the diary; it stays."""
        line = f"{time.monotonic() - self._began:6.1f} s  {text}"
        self._console.print(escape(line), highlight=False, soft_wrap=True)

    def update(self, done: Mapping[str, int], awaited: Mapping[str, int]) -> None:
        """Show how many jobs of each queue are done, of how many in all."""
        now = time.monotonic()
        if not self._console.is_terminal:
            if now - self._spoken_at >= PLAIN_EVERY:
                self._spoken_at = now
                self.say("  ".join(f"{q} {done.get(q, 0)}/{awaited.get(q, 0)}" for q in QUEUES))
            return
        self._looks.append((now, dict(done)))
        while len(self._looks) > 2 and self._looks[0][0] < now - _RATE_OVER:
            self._looks.popleft()
        then, before = self._looks[0]
        for name, row in self._rows.items():
            count = done.get(name, 0)
            rate = (count - before.get(name, 0)) / (now - then) if now > then else 0.0
            self._bars.update(row, completed=count, total=awaited.get(name, 0), rate=rate)


def span(seconds: float) -> str:
    """Write a time span for people."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"
