"""The effects file put in order: which runs each job had, and how each of them went."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from examples.shop.effects import Line


@dataclass(slots=True)
class Run:
    """One run of a job; times are monotonic seconds. `how` is None while it runs, or if it never
    ended: its process did."""

    job: str
    queue: str
    task: str
    pid: int
    started_at: float
    ended_at: float | None = None
    how: Literal["end", "fail"] | None = None


@dataclass(slots=True)
class Runs:
    """All runs so far. Feed it the lines in the order of the file."""

    by_job: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))
    finished: Counter[str] = field(default_factory=Counter)
    """Jobs, by queue, that a task was seen to finish at least once."""
    _by_pid: dict[int, Run] = field(default_factory=dict)

    def add(self, lines: Iterable[dict[str, Any]]) -> list[Run]:
        """Take in new lines; give the runs that began."""
        began = []
        for line in (Line(**line) for line in lines):
            if line.what == "start":
                run = Run(line.job, line.queue, line.task, line.pid, line.at)
                self.by_job[line.job].append(run)
                self._by_pid[line.pid] = run
                began.append(run)
                continue
            run = self._by_pid[line.pid]
            if line.what == "end" and not self.was_finished(line.job):
                self.finished[line.queue] += 1
            run.ended_at, run.how = line.at, line.what
        return began

    def was_finished(self, job: str) -> bool:
        """Say whether a run of this job reached its end."""
        return any(run.how == "end" for run in self.by_job.get(job, ()))

    def open(self) -> list[Run]:
        """List what each process was last seen to run, if it was not seen to end."""
        return [run for run in self._by_pid.values() if run.how is None]
