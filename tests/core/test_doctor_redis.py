"""What the doctor thinks of who may reach a server, and of its sentinels."""

from __future__ import annotations

from typing import Any

import pytest

from jobd.core.doctor.access import AccessFacts, examine_access
from jobd.core.doctor.finding import Finding
from jobd.core.doctor.sentinel import SentinelFacts, examine_sentinels
from jobd.core.server_facts import ServerFacts, judge

GOOD_ACCESS: dict[str, Any] = {
    "user": "jobd-daemon", "has_password": True, "certificate_days": 60.0, "idle_timeout": 0, "normal_buffer": 0,
    "keyspace_events": "", "protected": True,
}  # fmt: skip
GOOD_SENTINELS: dict[str, Any] = {
    "service": "mymaster", "named": ("a:1", "b:1", "c:1"), "primaries": ("p:1",), "sentinels": 3, "quorum": 2,
    "replicas": 2, "down_after": 5.0, "has_quorum": True, "replicas_wanted": 1,
}  # fmt: skip


def bad(findings: list[Finding]) -> dict[str, str]:
    assert all(each.do for each in findings if each.level in ("warning", "error"))
    return {each.name: each.level for each in findings if each.level != "ok"}


def test_a_server_that_is_well_kept_is_fine() -> None:
    assert bad(examine_access(AccessFacts(**GOOD_ACCESS))) == {}
    assert bad(examine_access(AccessFacts())) == {}
    assert bad(examine_sentinels(SentinelFacts(**GOOD_SENTINELS))) == {}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"user": "default", "has_password": False}, {"redis.user": "warning"}),
        ({"user": "default", "has_password": False, "is_local": True}, {"redis.user": "note"}),
        (
            {"user": "default", "has_password": False, "is_local": True, "protected": False},
            {"redis.user": "warning", "redis.protected_mode": "warning"},
        ),
        ({"user": "default", "may_administer": True, "may_everything": True}, {"redis.user": "note"}),
        ({"may_administer": True}, {"redis.user": "note"}),
        ({"is_unproven": True}, {"redis.tls": "warning"}),
        ({"certificate_days": 14.0}, {"redis.certificate": "warning"}),
        ({"certificate_days": 1.0}, {"redis.certificate": "error"}),
        ({"normal_buffer": 1_000_000}, {"redis.output_buffer": "warning"}),
        ({"idle_timeout": 5}, {"redis.timeout": "note"}),
        ({"keyspace_events": "KEA"}, {"redis.keyspace_events": "note"}),
    ],
)  # fmt: skip
def test_what_is_wrong_with_access_is_named(
    changes: dict[str, Any], expected: dict[str, str]
) -> None:
    assert bad(examine_access(AccessFacts(**(GOOD_ACCESS | changes)))) == expected


@pytest.mark.parametrize(
    ("changes", "name", "level"),
    [
        ({"silent": ("c:1 (refused)",)}, "sentinel.reachable", "warning"),
        ({"primaries": ("p:1", "q:1")}, "sentinel.agree", "error"),
        ({"sentinels": 2}, "sentinel.count", "warning"),
        ({"named": ("a:1",)}, "sentinel.named", "warning"),
        ({"quorum": 4}, "sentinel.quorum", "error"),
        ({"has_quorum": False}, "sentinel.quorum", "error"),
        ({"replicas": 0}, "sentinel.replicas", "error"),
        ({"replicas_wanted": 0}, "sentinel.min_replicas", "warning"),
        ({"down_after": 30.0}, "sentinel.down_after", "note"),
    ],
)
def test_what_is_wrong_with_sentinels_is_named(
    changes: dict[str, Any], name: str, level: str
) -> None:
    assert bad(examine_sentinels(SentinelFacts(**(GOOD_SENTINELS | changes)))) == {name: level}


@pytest.mark.parametrize(
    ("changes", "level", "said"),
    [
        ({"is_clustered": True}, "error", "cluster: a node of one; expected a server outside"),
        ({"is_loading": True}, "error", "loading: "),
        ({"used_memory": 10**6, "max_memory": 10**6}, "warning", "maxmemory: all 1MB are used"),
        ({"replicas": 0, "replicas_wanted": 1}, "error", "min-replicas-to-write: 1; expected"),
    ],
)
def test_a_server_that_refuses_work_is_unfit(
    changes: dict[str, Any], level: str, said: str
) -> None:
    """With its value, what was expected and what to do."""
    sound: dict[str, Any] = {
        "name": "Redis", "version": "7.2.0", "role": "master", "eviction": "noeviction", "persistent": True,
    }  # fmt: skip
    assert (
        judge(ServerFacts(**sound, used_memory=9, max_memory=10, replicas=1, replicas_wanted=1))
        == []
    )
    [found] = judge(ServerFacts(**sound, **changes))

    assert found.level == level
    assert said in found.why
