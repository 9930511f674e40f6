"""What the doctor thinks of facts: each ill has its line, each line says what to do."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobd.core.doctor import daemon, limits, place, store
from jobd.core.doctor.daemon import LeaseFacts, Leftovers, Stray
from jobd.core.doctor.finding import Finding
from jobd.core.doctor.limits import Load, MachineFacts, QueueLoad, UnitFacts
from jobd.core.doctor.place import PlaceFacts
from jobd.core.doctor.store import StoreFacts
from jobd.core.portrait import Daemon, Growth, Host, QueueView, Reload, Worker
from jobd.core.server_facts import ServerFacts

GOOD_SERVER = ServerFacts(
    name="Redis", version="7.2.4", role="master", eviction="noeviction", persistent=True,
    used_memory=10_000_000, max_memory=1_000_000_000,
)  # fmt: skip
GOOD_STORE: dict[str, Any] = {
    "place": "here:6379", "server": GOOD_SERVER, "trips": (0.0002,) * 20, "skew": 0.01,
    "fsync": "everysec", "clients": 10, "most_clients": 10_000, "last_fork": 0.001, "replicas": 1,
    "replicas_wanted": 1, "up_for": 9000.0, "format": 1,
}  # fmt: skip
QUEUE = QueueLoad(
    name="email", least=1, most=4, concurrency=10, timeout=20.0, memory_limit=300_000_000
)
GOOD_LOAD: dict[str, Any] = {"lease": 30.0, "drain_timeout": 25.0, "queues": (QUEUE,)}
GOOD_MACHINE: dict[str, Any] = {
    "whose": "the daemon", "memory": 8_000_000_000, "cpus": 4, "files": 4096, "tasks": 4000, "tasks_now": 100,
}  # fmt: skip
GOOD_UNIT: dict[str, Any] = {
    "name": "jobd.service", "where": "systemctl show", "notifies": True, "stop_timeout": 40.0, "watchdog": 30.0,
    "kill_mode": "mixed", "oom_policy": "continue",
}  # fmt: skip
WORKER: dict[str, Any] = {
    "slot": "email.1", "queue": "email", "phase": "idle", "pid": 8, "incarnation": "n.1", "restarts": 0,
    "last_exit": None,
}  # fmt: skip
GOOD_DAEMON: dict[str, Any] = {
    "running": True, "stopping": False, "pid": 7, "started_at": 1.0, "up_for": 100.0, "generation": 1,
    "last_error": None, "helpers": {"keeper": "running"}, "workers": [Worker(**WORKER)], "nonce": "n",
    "jobd": "1", "host": "web1", "answers": "yes", "queues": {"email": QueueView(wanted=1)},
}  # fmt: skip


def levels(findings: list[Finding], *, but: str = "ok") -> dict[str, str]:
    """The names of what is not fine, with how bad it is."""
    return {each.name: each.level for each in findings if each.level != but}


def of_store(server: dict[str, Any] | None = None, **changes: Any) -> list[Finding]:
    facts = GOOD_STORE | changes
    if server:
        facts["server"] = ServerFacts(
            **({f: getattr(GOOD_SERVER, f) for f in GOOD_SERVER.__struct_fields__} | server)
        )
    return store.examine(StoreFacts(**facts), lease=30.0, format_known=1)


def of_limits(
    load: dict[str, Any] | None = None, unit: dict[str, Any] | None = None, **machine: Any
) -> list[Finding]:
    return limits.examine(
        Load(**(GOOD_LOAD | (load or {}))),
        UnitFacts(**(GOOD_UNIT | unit)) if unit is not None else None,
        MachineFacts(**(GOOD_MACHINE | machine)),
    )


def queue(**changes: Any) -> dict[str, Any]:
    fields = {f: getattr(QUEUE, f) for f in QUEUE.__struct_fields__} | changes
    return {"queues": (QueueLoad(**fields),)}


def of_daemon(**changes: Any) -> list[Finding]:
    return daemon.examine(Daemon(**(GOOD_DAEMON | changes)), directory="/run/jobd", version="1")


def test_where_all_is_well_nothing_is_said_to_be_wrong() -> None:
    assert levels(of_store()) == {}
    assert levels(of_limits(unit={})) == {}
    assert levels(place.examine(PlaceFacts(path="/run/jobd", filesystem="tmpfs", free=10**9))) == {}
    assert levels(of_daemon()) == {}
    assert levels(daemon.examine_leftovers(Leftovers(), known=set(), lease=30.0)) == {}


@pytest.mark.parametrize(
    ("server", "changes", "name", "level"),
    [
        ({"version": "5.0.7"}, {}, "redis.version", "error"),
        ({"role": "slave"}, {}, "redis.role", "error"),
        ({"eviction": "allkeys-lru"}, {}, "redis.maxmemory_policy", "error"),
        ({"persistent": False}, {"fsync": None}, "redis.persistence", "warning"),
        ({"failing_save": "aof_last_write_status"}, {}, "redis.aof_last_write_status", "error"),
        ({"used_memory": 800_000_000}, {}, "redis.memory", "warning"),
        ({"used_memory": 990_000_000}, {}, "redis.memory", "error"),
        (
            {"max_memory": 0, "used_memory": 900},
            {"memory_of_host": 1000}, "redis.memory", "warning",
        ),
        ({}, {"fsync": "no"}, "redis.appendfsync", "warning"),
        ({}, {"fsync": None}, "redis.appendfsync", "note"),
        ({}, {"replicas": 0}, "redis.replicas", "error"),
        ({}, {"trips": (0.02,) * 20}, "redis.latency", "warning"),
        ({}, {"trips": (0.0001,) * 19 + (6.0,)}, "redis.latency", "error"),
        ({}, {"skew": -3.0}, "clock.redis", "warning"),
        ({}, {"skew": 3600.0}, "clock.redis", "error"),
        ({}, {"clients": 9000}, "redis.clients", "warning"),
        ({}, {"cluster": True}, "redis.cluster", "error"),
        ({}, {"format": 2}, "redis.format", "error"),
        ({}, {"last_fork": 2.0}, "redis.fork", "warning"),
        ({}, {"up_for": 3.0}, "redis.uptime", "note"),
    ],
)  # fmt: skip
def test_a_bad_server_is_named(
    server: dict[str, Any], changes: dict[str, Any], name: str, level: str
) -> None:
    assert levels(of_store(server, **changes))[name] == level
    assert sum(each.name == name for each in of_store(server, **changes)) == 1


def test_a_server_that_says_nothing_of_itself_is_judged_by_what_was_measured() -> None:
    facts = GOOD_STORE | {"server": None, "fsync": None, "clients": None, "replicas": None}
    found = store.examine(StoreFacts(**facts), lease=30.0, format_known=1)
    assert levels(found) == {"redis.info": "note"}
    assert any(each.name == "redis.latency" for each in found)


@pytest.mark.parametrize(
    ("load", "unit", "machine", "name", "level"),
    [
        ({}, {"stop_timeout": 10.0, "notifies": False}, {}, "stop.systemd", "error"),
        ({}, {"stop_timeout": 26.0, "notifies": False}, {}, "stop.systemd", "error"),
        ({}, {"stop_timeout": 10.0}, {}, "stop.systemd", "warning"),
        ({}, {"kill_mode": "control-group"}, {}, "stop.kill_mode", "warning"),
        ({}, {"watchdog": 0.5}, {}, "stop.watchdog", "warning"),
        ({}, {"oom_policy": "stop"}, {}, "stop.oom_policy", "warning"),
        ({"lease": 3600.0}, None, {}, "config.lease", "warning"),
        ({"drain_timeout": 0.0}, None, {}, "config.drain_timeout", "warning"),
        (queue(timeout=0.0), None, {}, "config.interrupted", "note"),
        (queue(soft_timeout=30.0), None, {}, "config.soft_timeout", "error"),
        (queue(memory_limit_hard=300_000_000), None, {}, "config.memory_limit", "error"),
        (queue(least=4) | {"max_processes": 2}, None, {}, "config.max_processes", "error"),
        ({}, None, {"memory": 1_000_000_000}, "limits.memory", "warning"),
        ({}, None, {"memory_limit": 1_000_000_000}, "limits.memory", "warning"),
        (queue(memory_limit=0), None, {}, "limits.memory", "note"),
        ({}, None, {"files": 60}, "limits.files", "error"),
        (queue(concurrency=1000), None, {"files": 1024}, "limits.files", "warning"),
        ({}, None, {"tasks": 140, "tasks_now": 100}, "limits.processes", "error"),
        ({}, None, {"tasks": 160, "tasks_now": 100}, "limits.processes", "warning"),
        ({}, None, {"kubernetes": True}, "stop.kubernetes", "note"),
        ({}, None, {"overcommit": 2}, "limits.overcommit", "note"),
    ],
)  # fmt: skip
def test_a_contradiction_is_named(
    load: dict[str, Any],
    unit: dict[str, Any] | None,
    machine: dict[str, Any],
    name: str,
    level: str,
) -> None:
    assert levels(of_limits(load, unit, **machine))[name] == level


@given(drain=st.floats(0, 3600), stop=st.floats(0, 7200))
@settings(max_examples=40)
def test_what_systemd_is_told_to_be_set_to_is_enough(drain: float, stop: float) -> None:
    """Doing what a line says makes the line go away."""
    loads = {"drain_timeout": drain}
    bad = [
        f
        for f in of_limits(loads, {"stop_timeout": stop, "notifies": False})
        if f.name == "stop.systemd"
    ]
    if bad[0].level == "ok":
        return
    said = float(bad[0].do.partition("TimeoutStopSec=")[2].split()[0])
    again = of_limits(loads, {"stop_timeout": said, "notifies": False})
    assert "stop.systemd" not in levels(again)


@pytest.mark.parametrize(
    ("facts", "name", "level"),
    [
        ({"exists": False}, "place.rights", "note"),
        ({"is_directory": False}, "place.rights", "error"),
        ({"mode": 0o777}, "place.rights", "error"),
        ({"owner": 5, "me": 6}, "place.rights", "note"),
        ({"entered": False}, "place.rights", "warning"),
        ({"filesystem": "nfs4"}, "place.filesystem", "error"),
        ({"free": 1000}, "place.room", "error"),
    ],
)
def test_a_bad_place_is_named(facts: dict[str, Any], name: str, level: str) -> None:
    assert levels(place.examine(PlaceFacts(path="/run/jobd", **facts)))[name] == level


@pytest.mark.parametrize(
    ("changes", "name", "level"),
    [
        ({"running": False}, "daemon.running", "note"),
        ({"answers": "no"}, "daemon.running", "error"),
        ({"answers": "stopped"}, "daemon.running", "error"),
        ({"stopping": True}, "daemon.running", "note"),
        ({"jobd": "0.9"}, "daemon.version", "warning"),
        ({"helpers": {"keeper": "waiting"}}, "daemon.helpers", "error"),
        ({"helpers": {"keeper": "starting"}}, "daemon.helpers", "note"),
        ({"reload": Reload(ago=3.0, error="jobd.toml: broken")}, "daemon.reload", "error"),
        ({"last_error": "shop.jobs: no module"}, "daemon.last_error", "warning"),
        ({"queues": {"email": QueueView(wanted=1, gave_up=True, useless=5)}}, "daemon.gave_up", "error"),
        ({"workers": [Worker(**WORKER | {"exits": {"crash": 3, "oom": 4}})]}, "daemon.restarts", "warning"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_daemon_is_named(
    changes: dict[str, Any], name: str, level: str
) -> None:
    assert levels(of_daemon(**changes))[name] == level


def test_a_task_that_leaks_is_named_and_a_cache_that_fills_is_not() -> None:
    leak = Growth(task="render", bytes=900_000_000, jobs=900)
    cache = Growth(task="look-up", bytes=9_000_000, jobs=900)
    once = Growth(task="import", bytes=90_000_000, jobs=1)
    found = of_daemon(queues={"docs": QueueView(wanted=1, growth=[leak, cache, once])})
    assert levels(found) == {"daemon.growth": "warning"}
    assert [f.found for f in found if f.name == "daemon.growth"] == [
        "queue 'docs': its workers grow by 1MB a job of 'render', over 900 jobs"
    ]


def test_workers_that_are_recycled_are_no_trouble() -> None:
    worker = Worker(**WORKER | {"exits": {"recycled": 900, "stopped": 3}})
    assert levels(of_daemon(workers=[worker])) == {}


def test_hosts_are_judged_by_their_silence_their_clocks_and_their_versions() -> None:
    other = Daemon(**GOOD_DAEMON | {"nonce": "m", "host": "web2", "jobd": "2"})
    hosts = [
        Host(key="a", silent_for=1.0, ahead=0.0, daemon=Daemon(**GOOD_DAEMON)),
        Host(key="b", silent_for=2.0, ahead=-4.0, daemon=other),
        Host(key="c", silent_for=200.0),
    ]
    found = daemon.examine_hosts(hosts, ours="n")
    assert levels(found) == {
        "hosts.silent": "warning", "clock.hosts": "warning", "hosts.versions": "note",
    }  # fmt: skip
    assert "web2" in next(f.found for f in found if f.name == "clock.hosts")


def test_what_dead_daemons_have_left_is_named() -> None:
    left = Leftovers(
        strays=(Stray(9, "jobd: worker email.1"),),
        leases=(
            LeaseFacts(queue="q", incarnation="gone.1", held=3, over_for=100.0),
            LeaseFacts(queue="q", incarnation="n.1", held=1),
            LeaseFacts(queue="q", incarnation="strange.1", held=1),
        ),
        ownerless=("jobd:{q}:job:x",),
        looked_at=10,
    )
    found = daemon.examine_leftovers(left, known={"n"}, lease=30.0)
    assert levels(found) == {
        "orphans.processes": "error", "orphans.leases": "error", "orphans.unknown": "note",
        "orphans.keys": "warning",
    }  # fmt: skip
    assert "strange" in next(f.found for f in found if f.name == "orphans.unknown")


SPANS = st.floats(0, 1e7)
NUMBERS = st.integers(0, 10**13)


@given(
    facts=st.builds(
        StoreFacts,
        place=st.just("x"),
        server=st.none()
        | st.builds(
            ServerFacts, name=st.just("Redis"), version=st.sampled_from(["0", "6.2", "7.0.1", "?"]),
            role=st.sampled_from(["master", "slave"]), eviction=st.sampled_from(["noeviction", "allkeys-lru"]),
            persistent=st.booleans(), used_memory=NUMBERS, max_memory=NUMBERS,
        ),
        trips=st.lists(st.floats(0, 100), max_size=5).map(tuple), skew=st.none() | st.floats(-1e6, 1e6),
        fsync=st.sampled_from([None, "no", "always"]), clients=st.none() | NUMBERS, most_clients=st.none() | NUMBERS,
        memory_of_host=st.none() | NUMBERS, last_fork=st.none() | SPANS, replicas=st.none() | NUMBERS,
        replicas_wanted=st.none() | NUMBERS, cluster=st.booleans(), up_for=st.none() | st.floats(0, 1e9),
        format=st.none() | NUMBERS,
    ),
    machine=st.builds(
        MachineFacts, whose=st.just("x"), memory=st.none() | NUMBERS, memory_limit=st.none() | NUMBERS,
        files=st.none() | NUMBERS, tasks=st.none() | NUMBERS, tasks_now=st.none() | NUMBERS,
    ),
    unit=st.none() | st.builds(UnitFacts, name=st.just("u"), where=st.just("w"), stop_timeout=SPANS | st.just(math.inf)),
)  # fmt: skip
@settings(max_examples=40)
def test_whatever_the_facts_every_ill_has_something_to_do(
    facts: StoreFacts, machine: MachineFacts, unit: UnitFacts | None
) -> None:
    found = store.examine(facts, lease=30.0, format_known=1)
    found += limits.examine(Load(**GOOD_LOAD), unit, machine)
    for each in found:
        assert each.found
        assert each.do or each.level in ("ok", "note")
