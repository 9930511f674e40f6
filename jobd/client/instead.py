"""What may take a producer's place: the one seam at which jobs can go elsewhere than to Redis.

`Producer.divert` puts it there. jobd.testing has three: one records, one runs the jobs at once, one
lets tests move the clock. Whoever holds an app, a queue, a task or a handle notices nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from jobd.broker.commands import End
from jobd.broker.connection import Client
from jobd.broker.finding import Finder
from jobd.broker.new_job import NewJob
from jobd.broker.schedules import ScheduleStore
from jobd.broker.store import Store
from jobd.broker.views import Views
from jobd.broker.why import WhyFacts


class Instead(Protocol):
    """Takes jobs in a producer's place, and answers for what became of them."""

    def add(self, queue: str, jobs: Sequence[NewJob], *, fresh: bool) -> list[bytes]:
        """Take jobs; a word for each, as the scripts of adding answer."""

    async def add_async(self, queue: str, jobs: Sequence[NewJob], *, fresh: bool) -> list[bytes]:
        """Take jobs from code that runs on an event loop."""

    def client(self) -> Client:
        """Give a client, or raise what says why there is none."""

    def store(self, queue: str) -> Store:
        """Give the transitions of one queue."""

    def schedules(self, queue: str) -> ScheduleStore:
        """Give the schedules of one queue."""

    def finder(self, queue: str) -> Finder:
        """Give the walks through one queue."""

    def views(self) -> Views:
        """Give the reads."""

    def why_facts(self, queue: str) -> WhyFacts:
        """Give what reads why a job has not run."""

    def end_of(self, queue: str, job_id: str) -> End:
        """Give how a job ended, or raise what says why nobody should wait for that."""
