"""The kinds of servers the scripts are proven on, and what each says about itself."""

from __future__ import annotations

import pytest
from support.servers import KINDS

from jobd.broker.connection import connect
from jobd.broker.server import read_facts
from jobd.core.server_facts import ServerFacts, judge


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_of_each_kind_is_fit(servers: dict[str, str], kind: str) -> None:
    """Redis from 6.2 on, and Valkey; one that is not here is named as skipped."""
    if kind not in servers:
        pytest.skip(f"no {kind} here: its scripts are not proven in this run")
    client = connect(servers[kind])
    facts = read_facts(client)
    client.close()

    assert judge(facts, keeps_nothing=True) == []
    assert ("Valkey" in facts.name) == kind.startswith("valkey")
    assert not facts.persistent


SOUND = {"name": "Redis", "version": "7.0.15", "role": "master", "eviction": "noeviction"}


@pytest.mark.parametrize(
    ("changes", "level", "said"),
    [
        ({"version": "6.0.16"}, "error", "version: Redis 6.0.16; expected Redis 6.2 or newer"),
        ({"version": "5.0.7"}, "error", "upgrade the server"),
        ({"version": "?"}, "error", "version: Redis ?"),
        ({"role": "slave"}, "error", "role: slave; expected the primary"),
        ({"eviction": "allkeys-lfu"}, "error", "the server deletes jobs"),
        ({"eviction": "volatile-lru"}, "warning", "of jobd, statistics"),
        ({"persistent": False}, "warning", "set `appendonly yes`"),
        ({"failing_save": "rdb_last_bgsave_status"}, "error", "rdb_last_bgsave_status: err"),
    ],
)
def test_each_unfitness_is_named(changes: dict[str, str], level: str, said: str) -> None:
    """With its value, what was expected and what to do; a sound server has none."""
    assert judge(ServerFacts(**SOUND, persistent=True)) == []

    [found] = judge(ServerFacts(**(SOUND | {"persistent": True} | changes)))

    assert found.level == level
    assert said in found.why


@pytest.mark.parametrize("version", ["6.2.14", "7.0.15", "7.2.4", "8.0.1", "10.0"])
def test_a_version_from_the_floor_on_is_fit(version: str) -> None:
    """Numbers are compared as numbers."""
    assert judge(ServerFacts(**(SOUND | {"version": version}), persistent=True)) == []
