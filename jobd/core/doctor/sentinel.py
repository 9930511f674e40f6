"""Judging a Sentinel service: would another primary be elected, in time, and without losing jobs?"""

from __future__ import annotations

import msgspec

from jobd.core.doctor.finding import Finding, error, note, ok, warning
from jobd.core.durations import words

_SLOW = 10.0


class SentinelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the sentinels that were asked said. `named` are those of redis.url, as host:port."""

    service: str
    named: tuple[str, ...]
    silent: tuple[str, ...] = ()  # of these, with why
    primaries: tuple[str, ...] = ()  # where they say it is: one, if they agree
    sentinels: int = 0  # that there are, by their own word
    quorum: int = 0
    replicas: int = 0
    down_after: float = 0.0  # seconds
    has_quorum: bool | None = None  # SENTINEL CKQUORUM; None: not asked, or refused
    replicas_wanted: int | None = None  # min-replicas-to-write of the primary


def examine_sentinels(facts: SentinelFacts) -> list[Finding]:
    """Judge a service whose primary answers."""
    found = [*_sentinels(facts), *_quorum(facts), *_replicas(facts)]
    if facts.down_after > _SLOW:
        found.append(
            note(
                "sentinel.down_after",
                f"a primary is given up after {words(facts.down_after)}: for so long nothing is claimed",
                f"SENTINEL SET {facts.service} down-after-milliseconds 5000",
            )
        )
    return found


def _sentinels(facts: SentinelFacts) -> list[Finding]:
    found = []
    if facts.silent:
        found.append(
            warning(
                "sentinel.reachable",
                f"{len(facts.silent)} of the {len(facts.named)} sentinels of redis.url do not answer: "
                + "; ".join(facts.silent),
                "start them, or correct redis.url",
            )
        )
    if len(facts.primaries) > 1:
        found.append(
            error(
                "sentinel.agree",
                f"the sentinels name different primaries: {', '.join(facts.primaries)}",
                "see whether they can reach one another (SENTINEL SENTINELS), and their logs",
            )
        )
    if facts.sentinels < 3:
        found.append(
            warning(
                "sentinel.count",
                f"{facts.sentinels} sentinel{'' if facts.sentinels == 1 else 's'}: where one is lost, "
                "nobody elects",
                "run three, on machines that do not fail together",
            )
        )
    elif len(facts.named) == 1:
        found.append(
            warning(
                "sentinel.named",
                f"redis.url names one of {facts.sentinels} sentinels: where that one is down, nobody is found",
                "name the others too: redis+sentinel://a:26379,b:26379,c:26379/...",
            )
        )
    return found


def _quorum(facts: SentinelFacts) -> list[Finding]:
    name = "sentinel.quorum"
    said = f"quorum {facts.quorum} of {facts.sentinels} sentinels"
    if facts.quorum > facts.sentinels:
        return [
            error(name, f"{said}: no failover ever begins", "run more sentinels, or lower quorum")
        ]
    if facts.has_quorum is False:
        return [
            error(
                name,
                f"{said}, and too few of them see one another: no failover would begin now",
                f"SENTINEL CKQUORUM {facts.service} says who is missing",
            )
        ]
    return [ok(name, f"{said}, {facts.replicas} replicas of {facts.service!r}")]


def _replicas(facts: SentinelFacts) -> list[Finding]:
    if not facts.replicas:
        return [error("sentinel.replicas", "no replica: nobody can take over", "add one")]
    if facts.replicas_wanted == 0:
        return [
            warning(
                "sentinel.min_replicas",
                "min-replicas-to-write is 0: a primary that is cut off goes on taking jobs, and they are "
                "lost when it is deposed",
                "set `min-replicas-to-write 1` and `min-replicas-max-lag 10`",
            )
        ]
    return []
