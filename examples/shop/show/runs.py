"""The effects file put in order: which runs each job had, and how each of them went."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Literal

from examples.shop.effects import Line


@dataclass(slots=True)
class Run:
    """One run of a job; times are monotonic seconds. `how` is None while it runs, or if it never
    ended: its process did."""

    job: str
    queue: str
    task: str
    pid: int
    attempt: int
    started_at: float
    ended_at: float | None = None
    how: Literal["end", "fail"] | None = None


@dataclass(slots=True)
class Runs:
    """All runs so far. Feed it lines in the order of the file."""

    by_job: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))
    by_pid: dict[int, Run] = field(default_factory=dict)
    """The latest run of each process."""
    finished: Counter[str] = field(default_factory=Counter)
    """Jobs, by queue, that a task was seen to finish at least once."""
    _seen: set[str] = field(default_factory=set)

    def add(self, lines: list[Line]) -> None:
        """Take in new lines."""
        for line in lines:
            if line.what == "start":
                run = Run(line.job, line.queue, line.task, line.pid, line.attempt, line.at)
                self.by_job[line.job].append(run)
                self.by_pid[line.pid] = run
                continue
            run = self.by_pid[line.pid]
            run.ended_at, run.how = line.at, line.what
            if line.what == "end" and line.job not in self._seen:
                self._seen.add(line.job)
                self.finished[line.queue] += 1

    def running_in(self, pid: int) -> Run | None:
        """Give the run a process is in the middle of."""
        run = self.by_pid.get(pid)
        return run if run is not None and run.how is None else None

    def after(self, run: Run) -> Run | None:
        """Give the same job's next run."""
        later = [other for other in self.by_job[run.job] if other.started_at > run.started_at]
        return min(later, key=lambda other: other.started_at) if later else None

    def all(self) -> list[Run]:
        """List every run, in the order of their starts."""
        return sorted(
            (run for runs in self.by_job.values() for run in runs), key=lambda run: run.started_at
        )
