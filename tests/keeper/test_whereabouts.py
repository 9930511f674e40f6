"""What a vanished host held goes back, and the history of each job says from which host."""

from __future__ import annotations

import msgspec
import pytest

from jobd.broker.connection import Client, connect
from jobd.broker.hosts import say
from jobd.broker.keys import QueueKeys, SharedKeys
from jobd.broker.new_job import NewJob
from jobd.broker.store import Store
from jobd.core.portrait import Daemon
from jobd.keeper.reap import Reaper
from jobd.keeper.whereabouts import Whereabouts

LEASE = 6_000
NOW = 1_800_000_000_000


@pytest.fixture
def redis(redis_url: str) -> Client:
    return connect(redis_url)


def _speak(redis: Client) -> None:
    daemon = Daemon(
        running=True, stopping=False, pid=7, started_at=1.0, up_for=1.0, generation=1,
        last_error=None, helpers={}, workers=[], nonce="nonce", host="web1",
    )  # fmt: skip
    say(redis, "jobd", "h1", daemon, wall_ms=NOW)


def test_a_job_that_was_lost_names_the_host(redis: Client) -> None:
    """As the host said it itself, before it fell silent."""
    _speak(redis)
    store = Store(redis, "jobd", "q", now=NOW)
    store.add([NewJob("a", "t", b"{}")])
    store.join("nonce.3", LEASE)
    store.claim("nonce.3", LEASE, budget_us=50_000, costs=["t", 10])
    store.commands.now = NOW + 2 * LEASE
    reaper, where = Reaper(store, lease=6.0, period=1.0), Whereabouts(redis, "jobd")
    for at in (50.0, 60.0):
        reaped, _ = reaper.look(
            ours=set(), store_now=NOW + 2 * LEASE, clock=lambda at=at: at, host_of=where.host_of
        )
    assert reaped == ["nonce.3"]
    [line] = msgspec.json.decode(redis.hget(QueueKeys("jobd", "q").job("a"), "history"))
    assert (line["kind"], line["worker"], line["host"]) == ("lost", "nonce.3", "web1")


def test_whoever_is_not_known_is_nowhere_and_that_holds_up_nobody(redis: Client) -> None:
    """Also where a stranger has taken the place of what hosts say."""
    _speak(redis)
    assert Whereabouts(redis, "jobd").host_of("other.3") == ""
    redis.delete(SharedKeys("jobd").hosts)
    redis.set(SharedKeys("jobd").hosts, "no hash")
    assert Whereabouts(redis, "jobd").host_of("nonce.3") == ""
