"""The pages of a dashboard in a crowd, as people go through them. Used by the measure of the dashboard."""

import itertools
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html import unescape

from benchmarks.crowd import CROWD, job_id
from benchmarks.viewers import Reader

_NEXT = re.compile(r'<a\b[^>]*\brel="next"[^>]*>')
_HREF = re.compile(r'\bhref="([^"]*)"')
# What viewers have open, over and over until there are enough.
WATCHED = (
    "/", f"/queues/{CROWD}", "/queues/bench", "/", f"/queues/{CROWD}/jobs?state=dead", "/workers",
    f"/queues/{CROWD}/jobs?state=waiting", f"/queues/{CROWD}/jobs/{job_id('delayed', 7)}", "/dead", "/schedules",
)  # fmt: skip


@dataclass
class Kind:
    """One kind of page: `next` says what to open, from what came last."""

    name: str
    next: Callable[[str], str]
    times: list[float] = field(default_factory=list)
    cold: list[float] = field(default_factory=list)
    last: str = ""

    def open(self, reader: Reader, times: list[float]) -> None:
        answer = reader.open(self.next(self.last))
        self.last = answer.text
        times.append(answer.seconds * 1000)


def kinds_of(jobs: int, dead: int) -> list[Kind]:
    """Each page of a crowd of so many jobs; every look is at another one where there are others."""
    rng = random.Random(7)
    jobs_of = f"/queues/{CROWD}/jobs"
    groups, ages = (itertools.cycle(range(1000)) for _ in range(2))

    def follows(first: str) -> Callable[[str], str]:
        return lambda last: _next_of(last) or first

    def one(state: str) -> Callable[[str], str]:
        return lambda _: f"{jobs_of}/{job_id(state, rng.randrange(dead))}"

    return [
        Kind("overview", lambda _: "/"),
        Kind("queue with the crowd", lambda _: f"/queues/{CROWD}"),
        Kind("queue of the worker", lambda _: "/queues/bench"),
        *(Kind(f"jobs, {state}, each the next page", follows(f"{jobs_of}?state={state}"))
          for state in ("waiting", "delayed", "dead", "completed", "active")),
        Kind("jobs, dead, an error nothing has", lambda _: f"{jobs_of}?state=dead&error=nothing{next(ages)}"),
        Kind("jobs, delayed, a rare group", lambda _: f"{jobs_of}?state=delayed&group=g{next(groups)}"),
        Kind("jobs, waiting, of one task", follows(f"{jobs_of}?state=waiting&task=task7")),
        Kind("job, dead", one("dead")),
        Kind("job, waiting", one("waiting")),
        Kind("search by id", lambda _: f"/find?id={job_id('waiting', rng.randrange(jobs))}"),
        Kind("workers", lambda _: "/workers"),
        Kind("schedules", lambda _: "/schedules"),
        Kind("alerts", lambda _: "/alerts"),
        Kind("dead letters", lambda _: "/dead"),
        Kind("operations", lambda _: "/operations"),
    ]  # fmt: skip


def _next_of(page: str) -> str | None:
    """Find the link to the next page of a list."""
    link = _NEXT.search(page)
    href = _HREF.search(link[0]) if link else None
    return unescape(href[1]) if href else None
