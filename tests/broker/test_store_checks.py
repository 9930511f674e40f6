"""A real server that goes bad while it is looked at: what is said, and when again."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.sentinels import free_ports, plain_server, program
from support.servers import eventually

from jobd import Jobd
from jobd.broker.access_facts import access_facts
from jobd.broker.connection import Client, connect
from jobd.core.errors import BrokerError, BrokerUnavailable, StoreUnusable
from jobd.keeper.inspect import EVERY, Inspector

pytestmark = pytest.mark.skipif(program() is None, reason="no server of the PATH here")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Client]:
    with plain_server(tmp_path / "one", "--appendonly", "yes") as port:
        client = connect(f"redis://127.0.0.1:{port}/0")
        yield client
        client.close()


class Looks:
    """An inspector, and time that passes by itself."""

    def __init__(self, client: Client) -> None:
        self._inspector = Inspector(client, keeps_nothing=False)
        self._now = 0.0

    def once(self) -> list[str]:
        """What is told after another period."""
        self._now += EVERY
        return [
            f"{each.level} {each.why.partition(':')[0]}" for each in self._inspector.look(self._now)
        ]


def test_what_goes_wrong_live_is_told_once_and_again_after_it_was_mended(
    server: Client, tmp_path: Path
) -> None:
    """Policy, memory, replicas, role, persistence: by CONFIG SET and REPLICAOF, as people do."""
    looks = Looks(server)
    assert looks.once() == []
    for settings, told in [
        ({"maxmemory-policy": "allkeys-lru"}, ["error maxmemory-policy"]),
        ({"maxmemory-policy": "noeviction"}, []),
        ({"maxmemory-policy": "allkeys-lru"}, ["error maxmemory-policy"]),
        ({"maxmemory-policy": "noeviction", "maxmemory": "1"}, ["warning maxmemory"]),
        ({"maxmemory": "0", "min-replicas-to-write": "1"}, ["error min-replicas-to-write"]),
        ({"min-replicas-to-write": "0", "appendonly": "no"}, ["warning persistence"]),
        ({"appendonly": "yes"}, []),
    ]:
        for name, value in settings.items():
            server.config_set(name, value)
        assert looks.once() == told, settings
        assert looks.once() == []
    [nobody] = free_ports(1)
    server.replicaof("127.0.0.1", str(nobody))
    assert looks.once() == ["error role"]
    with pytest.raises(BrokerUnavailable, match="is a read-only replica; expected the primary"):
        Jobd(_url(server)).queue("q").add("t", {})
    server.replicaof("NO", "ONE")
    assert looks.once() == []
    assert Jobd(_url(server)).queue("q").add("t", {}).outcome == "enqueued"


def _url(client: Client) -> str:
    return f"redis://127.0.0.1:{client.connection_pool.connection_kwargs['port']}/0"


def test_a_refused_write_is_named(server: Client, tmp_path: Path) -> None:
    """Too few replicas, a disk that is full: what to do is said, and nothing was added."""
    queue = Jobd(_url(server)).queue("q")
    server.config_set("min-replicas-to-write", "1")
    with pytest.raises(BrokerUnavailable, match="fewer replicas than min-replicas-to-write"):
        queue.add("t", {})
    server.config_set("min-replicas-to-write", "0")
    (tmp_path / "one" / "dump.rdb").mkdir()  # which no file can replace
    server.config_set("appendonly", "no")
    server.config_set("save", "1 1")
    server.bgsave()
    eventually(lambda: server.info("persistence")["rdb_last_bgsave_status"] == "err")
    with pytest.raises(StoreUnusable, match="cannot write to its disk"):
        queue.add("t", {})
    assert Looks(server).once() == ["error rdb_last_bgsave_status"]
    server.config_set("save", "")


def test_a_node_of_a_cluster_is_refused_before_anything_is_added(tmp_path: Path) -> None:
    """Also one that has all slots, where every single call would work."""
    with plain_server(tmp_path / "node", "--cluster-enabled", "yes") as port:
        client = connect(f"redis://127.0.0.1:{port}/0")
        subprocess.run(
            ["redis-cli", "-p", str(port), "cluster", "addslotsrange", "0", "16383"],
            check=True, capture_output=True,
        )  # fmt: skip
        eventually(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"))
        app = Jobd(f"redis://127.0.0.1:{port}/0")

        async def add_async() -> None:
            try:
                await app.queue("q").aadd("t", {})
            finally:
                await app.producer.async_client.aclose()

        for add in (lambda: app.queue("q").add("t", {}), lambda: asyncio.run(add_async())):
            with pytest.raises(
                StoreUnusable, match="is a node of a cluster; expected a server outside"
            ):
                add()
        with pytest.raises(BrokerError, match="is a node of a cluster"):
            Jobd(f"redis://127.0.0.1:{port}/5").queue("q").add("t", {})
        assert client.dbsize() == 0
        assert "error cluster" in Looks(client).once()
        client.close()


def test_who_we_are_to_a_server_is_seen(server: Client) -> None:
    """By its own word; without a password, anybody."""
    facts = access_facts(server)
    assert (facts.user, facts.has_password, facts.may_everything) == ("default", False, True)
    assert (facts.is_local, facts.protected, facts.certificate_days) == (True, True, None)
    assert (facts.normal_buffer, facts.idle_timeout, facts.keyspace_events) == (0, 0, "")
    server.execute_command("ACL", "SETUSER", "small", "on", ">s", "~*", "+@read", "+acl|whoami")
    small = connect(_url(server).replace("://", "://small:s@"))
    facts = access_facts(small)
    assert (facts.user, facts.has_password, facts.may_administer) == ("small", True, False)
    small.close()
