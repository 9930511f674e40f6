"""A server at its maxmemory can be looked at: that is when people look."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobd import Jobd
from jobd.broker.connection import Client
from jobd.core.errors import StoreFull


@pytest.fixture
def full(client: Client, redis_url: str) -> Iterator[Jobd]:
    """An app whose server takes no more."""
    app = Jobd(redis_url)
    server = app.producer.client
    app.queue("q").add("t", job_id="first")
    server.config_set("maxmemory", 1)
    try:
        yield app
    finally:
        server.config_set("maxmemory", 0)


def test_all_that_is_there_can_be_read(full: Jobd) -> None:
    """States, counts, what holds a queue back, why a job waits; adding says what is wrong."""
    queue = full.queue("q")
    with pytest.raises(StoreFull):
        queue.add("t")
    handle = queue.job("first")
    info, views = handle.info(), full.producer.views()
    assert info is not None
    assert (handle.state(), info.task) == ("waiting", "t")
    assert views.counts("q")["waiting"] == 1
    assert not queue.flow().is_paused
    assert handle.why() is not None
    assert queue.schedules.get("none") is None
