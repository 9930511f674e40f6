"""What the keeper counts and tells, once a second."""

from __future__ import annotations

import pytest

from jobd.broker.backlog import Backlog, Backlogs
from jobd.broker.connection import Client, connect
from jobd.broker.new_job import NewJob
from jobd.broker.store import Store
from jobd.core.errors import BrokerUnavailable
from jobd.keeper.figures import Figures


@pytest.fixture
def redis(redis_url: str) -> Client:
    return connect(redis_url)


def test_it_is_told_once_a_second_whatever_the_tick(redis: Client) -> None:
    """Never twice for one second, and never as lost because a look was not due yet."""
    Store(redis, "jobd", "q").add([NewJob("a", "t", b"{}")])
    figures = Figures(Backlogs(redis, "jobd"), ["q"])
    told = []
    for tick in range(103):
        now = 50.0 + tick * 0.1037
        figures.look(now)
        told += [message] if (message := figures.message(now)) else []
    assert 9 <= len(told) <= 11
    assert all(message["store"] is True for message in told)
    first = told[0]["queues"]
    assert isinstance(first, dict)
    assert isinstance(first["q"], Backlog)
    assert first["q"].due == 1


def test_without_elastic_queues_redis_is_asked_all_the_same(redis: Client) -> None:
    """Somebody wants to know whether it answers."""
    figures = Figures(Backlogs(redis, "jobd"), [])
    redis.config_resetstat()
    figures.look(1.0)
    figures.look(1.5)
    assert redis.info("commandstats")["cmdstat_time"]["calls"] == 1
    assert figures.message(1.5) == {"store": True, "queues": {}}


def test_one_answer_that_did_not_come_is_told_for_its_second(redis: Client) -> None:
    """Also when others came; and silence is an answer that did not come."""
    figures = Figures(Backlogs(redis, "jobd"), ["q"])
    figures.look(1.0)
    figures.lost()
    assert figures.message(1.0) == {"store": False}
    assert figures.message(1.9) is None
    assert figures.message(2.5) is None, "a look is awaited"
    assert figures.message(3.1) == {"store": False}
    figures.look(4.2)
    message = figures.message(4.2)
    assert message is not None
    assert message["store"] is True


def test_a_server_that_is_away_is_no_figures() -> None:
    figures = Figures(Backlogs(connect("redis://127.0.0.1:1/0"), "jobd"), ["q"])
    with pytest.raises(BrokerUnavailable):
        figures.look(1.0)
    figures.lost()
    assert figures.message(1.0) == {"store": False}
