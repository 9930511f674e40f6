"""What `jobd why` says of random queues is true: of each job its state, and of the next that it is."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobd.broker.commands import Completed, Ending
from jobd.broker.connection import Client, connect
from jobd.broker.new_job import NewJob
from jobd.broker.store import Store
from jobd.broker.views import Views
from jobd.broker.why import WhyFacts
from jobd.core.why import Explanation, explain

NOW = 1_800_000_000_000
LEASE = 30_000
FIGURES = "t|0|0|0"


@pytest.fixture
def server(redis_url: str) -> Client:
    return connect(redis_url)


class Queue:
    """A queue with whatever a seed makes happen to it."""

    def __init__(self, client: Client, seed: int) -> None:
        client.flushall()
        self._random = random.Random(seed)
        self.now = NOW
        self.client = client
        self.ids = [f"j{n}" for n in range(self._random.randrange(1, 12))]
        self.workers = [f"w.{n}" for n in range(self._random.randrange(3))]
        for worker in self.workers:
            self.store.join(worker, LEASE)
        for job_id in self.ids:
            due = self._random.choice(("", "", "", "+500", "+90000"))
            self.store.add([NewJob(job_id, "t", b"{}", self._random.randrange(4, 7), due)])
        for _ in range(self._random.randrange(6)):
            self._happen()

    @property
    def store(self) -> Store:
        return Store(self.client, "t", "q", now=self.now)

    def _happen(self) -> None:
        self.now += self._random.choice((0, 300, 20_000, 40_000))
        if not self.workers or self._random.random() < 0.2:
            self.store.cancel([self._random.choice(self.ids)])
            return
        worker = self._random.choice(self.workers)
        claim = self.store.claim(worker, LEASE)
        for job in claim.jobs:
            self._end(worker, job.id, claim.number)

    def _end(self, worker: str, job: bytes, number: int) -> None:
        verb = self._random.choice(("runs", "done", "retry", "dead"))
        if verb == "done":
            self.store.settle(worker, LEASE, completed=[Completed(job, number, FIGURES, b"")])
        elif verb != "runs":
            fields = {"failed": 1, "error": "E"}
            ending = Ending(verb, job, number, FIGURES, 5000, "failed", fields)
            self.store.settle(worker, LEASE, endings=[ending])

    def why(self, job_id: str) -> Explanation:
        asked = WhyFacts(self.client, "t", "q", now=self.now).read(job_id)
        assert asked is not None
        return explain(asked.job, asked.queue)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 10**9))
def test_what_is_said_is_true(server: Client, seed: int) -> None:
    """States are those of the containers; `next` is what the next claim brings; times are kept."""
    queue = Queue(server, seed)
    said = {job_id: queue.why(job_id) for job_id in queue.ids}

    for job_id, each in said.items():
        words = {reason.word for reason in each.reasons}
        assert each.state == Views(server, "t").state("q", job_id)
        assert each.reasons or each.when.startswith("now"), each
        assert ("line" in words) <= (each.state == "waiting")
        assert (each.when == "") == (each.state not in ("waiting", "delayed"))
        if each.state == "delayed" and each.starts_at is not None:
            assert each.starts_at >= server.zscore("t:{q}:delayed", job_id)
    due = {i for i, each in said.items() if any(r.word == "due" for r in each.reasons)}
    firsts = [i for i, each in said.items() if each.when.startswith(("now", "as soon"))]
    for worker in queue.workers:
        brought = {job.id.decode() for job in queue.store.claim(worker, LEASE).jobs}
        if firsts and brought:
            assert brought <= {*firsts, *due}
        break
