"""Is this server fit to hold jobs? What it says about itself goes in, what is wrong with it comes out.

Pure. Read by jobd.broker.server; named by the keeper at start, and by `jobd status`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from jobd.core.sizes import size_words

OLDEST = (6, 2)


class ServerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a server says about itself. `version` is that of the Redis it speaks like."""

    name: str
    version: str
    role: str
    eviction: str
    persistent: bool
    failing_save: str | None = None
    used_memory: int = 0
    max_memory: int = 0
    is_loading: bool = False
    is_clustered: bool = False
    replicas: int | None = None  # those that are near enough, where some are wanted
    replicas_wanted: int = 0  # min-replicas-to-write


class Unfit(msgspec.Struct, frozen=True):
    """One thing that is wrong. `error` may cost jobs or lets none through; `warning` may later."""

    level: Literal["warning", "error"]
    why: str


def judge(facts: ServerFacts, *, keeps_nothing: bool = False) -> list[Unfit]:
    """List what is wrong. `keeps_nothing`: that it forgets everything is what was wanted."""
    found = []
    if _numbers(facts.version) < OLDEST:
        found.append(
            Unfit(
                "error",
                f"version: {facts.name} {facts.version}; expected Redis 6.2 or newer, or Valkey; "
                "upgrade the server",
            )
        )
    if facts.role != "master":
        found.append(
            Unfit(
                "error",
                f"role: {facts.role}; expected the primary, a replica takes no jobs; "
                "point redis.url at the primary",
            )
        )
    if facts.is_clustered:
        found.append(
            Unfit(
                "error",
                "cluster: a node of one; expected a server outside a cluster, for what happens to a queue "
                "while its slot moves is not proven; name another server in redis.url",
            )
        )
    if facts.is_loading:
        found.append(
            Unfit(
                "error",
                "loading: its data set is not in memory yet; expected that to be done; wait, and see its "
                "log if it takes long",
            )
        )
    found += _eviction(facts)
    found += _refusing(facts)
    if not facts.persistent and not keeps_nothing:
        found.append(
            Unfit(
                "warning",
                "persistence: off; expected AOF or RDB, for without it all jobs are gone when the "
                "server restarts; set `appendonly yes` in its configuration",
            )
        )
    if facts.failing_save is not None:
        found.append(
            Unfit(
                "error",
                f"{facts.failing_save}: err; expected the last write to disk to have worked; "
                "see the server's log, and whether its disk is full",
            )
        )
    return found


def _eviction(facts: ServerFacts) -> list[Unfit]:
    policy = facts.eviction
    if policy.startswith("allkeys"):
        what = "the server deletes jobs when its memory is full"
        level: Literal["warning", "error"] = "error"
    elif policy.startswith("volatile"):
        what = "the server deletes what has a TTL when its memory is full: of jobd, statistics"
        level = "warning"
    else:
        return []
    return [
        Unfit(
            level,
            f"maxmemory-policy: {policy}; expected noeviction, for {what}; "
            "set `maxmemory-policy noeviction` in its configuration",
        )
    ]


def _refusing(facts: ServerFacts) -> list[Unfit]:
    """What makes it refuse writes. No figure that changes is named: each ill is told once."""
    found = []
    if 0 < facts.max_memory <= facts.used_memory:
        found.append(
            Unfit(
                "warning",
                f"maxmemory: all {size_words(facts.max_memory)} are used; expected free memory, for no job "
                "is added now; raise maxmemory, lower `retain`, or see what has piled up",
            )
        )
    if facts.replicas is not None and facts.replicas < facts.replicas_wanted:
        found.append(
            Unfit(
                "error",
                f"min-replicas-to-write: {facts.replicas_wanted}; expected as many replicas to be near, for "
                "every write is refused now; bring them back, or lower it",
            )
        )
    return found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
