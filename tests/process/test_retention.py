"""A daemon keeps Redis small, also where nothing runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.commands import Place
from support.policies import keeping
from support.servers import eventually

from jobd.broker.connection import connect
from jobd.broker.new_job import NewJob
from jobd.broker.store import Store, register_queues

pytestmark = pytest.mark.process


@pytest.fixture
def place(tmp_path: Path, redis_url: str) -> Iterator[Place]:
    made = Place(tmp_path, redis_url, more="[queues.q]\nprocesses = 0\n")
    yield made
    made.end()


def test_a_queue_that_nobody_serves_is_trimmed_by_any_daemon(place: Place, redis_url: str) -> None:
    """By what its workers said when there were some: two thousand, so many bites, to the last."""
    client = connect(redis_url)
    register_queues(client, "jobd", ["elsewhere"])
    store, ids = Store(client, "jobd", "elsewhere"), [f"j{i}" for i in range(2000)]
    store.join("w.1", 60_000, keeping(cancelled={"age": 0}))
    store.release("w.1")
    store.add([NewJob(i, "t", b"{}") for i in ids])
    store.cancel(ids)

    place.start("run")
    eventually(lambda: client.zcard("jobd:{elsewhere}:cancelled") == 0, within=30)
    assert client.keys("jobd:{elsewhere}:job:*") == []
    client.close()
