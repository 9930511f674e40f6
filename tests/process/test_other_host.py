"""A worker of another host is replaced and looked at by people who speak to this one."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.api import Api
from support.daemons import Daemon, eventually

from jobd import Jobd
from jobd.broker.connection import connect
from jobd.broker.hosts import hosts
from jobd.broker.keys import SharedKeys
from jobd.core.config import QueueConfig
from jobd.keeper.hosts import key_of
from jobd.web.api import orders
from jobd.web.watch_redis import PATIENCE

APP = """
import time
from jobd import Jobd
app = Jobd()
q = app.queue("q")

@q.task("nap")
def nap(until: str) -> None:
    import os
    while not os.path.exists(until):
        time.sleep(0.01)
"""


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory, own_server: str) -> Iterator[Daemon]:
    """A daemon in a place of its own, which others know. Each test leaves it whole."""
    top = tmp_path_factory.mktemp("far")
    daemon = Daemon(top, own_server, APP, queues={"q": QueueConfig()})
    try:
        daemon.running(1)
        client = connect(own_server)
        key = key_of(daemon.runtime)
        eventually("its word", lambda: [h for h in hosts(client, "jobd") if h.key == key])
        yield daemon
    finally:
        daemon.end()


@pytest.fixture(scope="module")
def near(tmp_path_factory: pytest.TempPathFactory, own_server: str) -> Iterator[Daemon]:
    top = tmp_path_factory.mktemp("near")
    daemon = Daemon(top, own_server, APP, queues={"other": QueueConfig()}, served=["other"])
    try:
        daemon.running(1)
        yield daemon
    finally:
        daemon.end()


def test_a_worker_of_another_host_is_recycled_and_its_stacks_are_told(
    far: Daemon, near: Daemon, own_server: str, tmp_path: Path
) -> None:
    """By the other's own daemon; the one that was asked goes on as it is."""
    api, key = Api(own_server, near.runtime), key_of(far.runtime)
    job = Jobd(own_server).queue("q").add("nap", {"until": str(tmp_path / "up")})
    [before], [ours] = far.running(1), near.running(1)
    eventually("it runs", lambda: job.state() == "active")

    def dumped() -> str:
        [stack] = api.act("POST", f"/hosts/{key}/workers/q.1/dump")["stacks"]
        assert (stack["who"], stack["pid"]) == ("q.1", before.pid)
        if stack["missing"]:  # no core for the worker within a second: it is asked again
            return ""
        return stack["text"] if "in nap" in stack["text"] else ""

    assert "shopjobs.py" in eventually("the task's own frame", dumped)
    everybody = api.act("POST", f"/hosts/{key}/dump")
    assert {"q.1", "keeper"} <= {stack["who"] for stack in everybody["stacks"]}
    assert everybody["left_out"] == 0

    done = api.act("POST", f"/hosts/{key}/workers/q.1/recycle")
    assert done == {
        "host": key, "slot": "q.1", "outcome": "its worker is replaced", "stacks": [], "left_out": 0,
    }  # fmt: skip
    eventually("another worker", lambda: far.slots()[0].incarnation != before.incarnation)
    (tmp_path / "up").touch()
    eventually("nothing is lost", lambda: job.state() == "completed")
    assert [slot.incarnation for slot in near.running(1)] == [ours.incarnation]
    assert '"host.asked"' in far.text()
    assert '"by":"operator"' in far.text().replace(" ", "")
    assert '"host.asked"' not in near.text()

    refused = api.ask("POST", f"/hosts/{key}/workers/q.9/recycle", who="operator")
    assert (refused.status_code, refused.json()["code"]) == (409, "jobd.daemon_refused")
    assert "q.1" in refused.json()["detail"]


def test_its_own_host_tells_the_stacks_too(far: Daemon, own_server: str) -> None:
    """Without Redis' help."""
    api = Api("redis://127.0.0.1:1/0", far.runtime)
    [stack] = api.act("POST", "/hosts/here/workers/q.1/dump")["stacks"]
    assert "File" in stack["text"]


def test_a_host_that_does_not_take_its_order_is_named_and_never_carries_it_out(
    far: Daemon, near: Daemon, own_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its keeper is stopped meanwhile; for longer than a client waits for Redis."""
    monkeypatch.setattr(orders, "WITHIN", PATIENCE + 1.5)
    api, key = Api(own_server, near.runtime, timeout=PATIENCE), key_of(far.runtime)
    [before] = far.running(1)
    with _stopped_keeper(far):
        answer = api.ask("POST", f"/hosts/{key}/workers/q.1/recycle", who="operator")
    assert (answer.status_code, answer.json()["code"]) == (504, "jobd.host_silent")
    assert "nothing is done" in answer.json()["detail"]
    monkeypatch.setattr(orders, "WITHIN", 60.0)
    assert api.act("POST", f"/hosts/{key}/workers/q.1/dump")["stacks"]  # it takes orders again
    assert [slot.incarnation for slot in far.running(1)] == [before.incarnation]


def test_an_order_is_withdrawn_however_the_wait_for_it_ended(
    far: Daemon, near: Daemon, own_server: str
) -> None:
    """What was answered as a failure of Redis is not done behind somebody's back."""
    api, key = Api(own_server, near.runtime), key_of(far.runtime)
    waiting = SharedKeys("jobd").host_orders_prefix + key
    client: Any = connect(own_server)
    [before] = far.running(1)

    def spoil() -> None:
        [order] = eventually("the order", lambda: client.hkeys(waiting))
        client.hset(SharedKeys("jobd").host_answer_prefix + order.decode(), "not", "a list")

    with _stopped_keeper(far):
        spoiling = threading.Thread(target=spoil)
        spoiling.start()
        answer = api.ask("POST", f"/hosts/{key}/workers/q.1/recycle", who="operator")
        spoiling.join()
        assert (answer.status_code, answer.json()["code"]) == (503, "jobd.broker")
        assert not client.exists(waiting)
    assert api.act("POST", f"/hosts/{key}/workers/q.1/dump")["stacks"]
    assert [slot.incarnation for slot in far.running(1)] == [before.incarnation]


@contextmanager
def _stopped_keeper(daemon: Daemon) -> Iterator[None]:
    keeper = next(pid for pid in _children(daemon.process.pid) if "keeper" in _title(pid))
    os.kill(keeper, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(keeper, signal.SIGCONT)


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _title(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def test_a_host_keeps_how_tallies_stood_and_what_workers_took(far: Daemon, own_server: str) -> None:
    """So that pages can tell the last hour, whoever serves them."""
    client = connect(own_server)
    eventually("a copy of the tally", lambda: client.hlen("jobd:{q}:tally-past"))

    def took() -> bool:
        daemons = [host.daemon for host in hosts(client, "jobd")]
        return any(w.memory_past for daemon in daemons if daemon for w in daemon.workers)

    eventually("a worker's memory", took)
