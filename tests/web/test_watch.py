"""Looking at Redis: what a real server does, and what is found."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.links import BadLink, Weather
from support.servers import eventually, running, server_programs

from jobd.broker.connection import Client, connect
from jobd.core.events import Event
from jobd.web.watch import Watch
from jobd.web.watch_redis import PATIENCE, RedisWatch


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What is done to it, no other test would like."""
    program = next(iter(server_programs().values()))
    with running(program, tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture
def admin(server: str) -> Iterator[Client]:
    client = connect(server)
    yield client
    client.close()


@pytest.fixture
def watch(server: str) -> Iterator[RedisWatch]:
    client = connect(server, timeout=PATIENCE)
    yield RedisWatch(client, keeps_nothing=False, facts_every=0.0)
    client.close()


def test_a_server_that_becomes_unfit_and_fit_again_is_found_so(
    watch: RedisWatch, admin: Client
) -> None:
    watch.look()
    assert watch.seen.trouble is None
    assert [unfit.level for unfit in watch.seen.unfit] == ["warning"]
    assert watch.seen.lost_at is None
    admin.config_set("maxmemory-policy", "allkeys-lru")
    admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    # That its connection was closed while it was idle is no trouble.
    watch.look()
    assert watch.seen.trouble is None
    assert watch.seen.is_unfit
    assert watch.seen.lost_at is not None
    admin.config_set("maxmemory-policy", "noeviction")
    lost_at = watch.seen.lost_at
    watch.look()
    assert not watch.seen.is_unfit
    assert watch.seen.lost_at == lost_at


def test_one_that_is_silent_costs_a_look_its_patience_and_no_more(server: str) -> None:
    with BadLink(server) as link:
        watch = RedisWatch(connect(link.url, timeout=PATIENCE), keeps_nothing=True)
        watch.look()
        answered_at = watch.seen.answered_at
        link.become(Weather.HOLE)
        began = time.monotonic()
        watch.look()
        assert time.monotonic() - began < PATIENCE + 10
        assert watch.seen.trouble is not None
        assert "no answer" in watch.seen.trouble
        assert watch.seen.answered_at == answered_at
        link.become(Weather.FAIR)
        watch.look()
        assert watch.seen.trouble is None


def test_one_that_is_not_there_is_named_and_its_password_is_not(tmp_path: Path) -> None:
    url = f"unix://:secret@{tmp_path}/none.sock"
    watch = RedisWatch(connect(url, timeout=PATIENCE), keeps_nothing=True)
    watch.look()
    assert watch.seen.answered_at is None
    assert watch.seen.trouble is not None
    assert "cannot be reached" in watch.seen.trouble
    assert "secret" not in watch.seen.trouble


def test_a_look_that_fails_in_an_unforeseen_way_is_told_once_and_goes_on() -> None:
    told: list[Event] = []
    looks = 0
    enough = threading.Event()

    def look() -> None:
        nonlocal looks
        looks += 1
        if looks >= 5:
            enough.set()
        raise ValueError("odd")

    watch = Watch("a look", look, every=0.001, emit=told.append)
    watch.start()
    assert watch.has_looked.wait(30)
    assert enough.wait(30)
    watch.stop()
    eventually(lambda: not watch._thread.is_alive())
    assert [event.event for event in told] == ["web.failed"]
