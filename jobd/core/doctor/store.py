"""Judging the Redis server: what it says of itself, how fast it answers, what its clock says.

`jobd.core.server_facts.judge` names what makes a server unfit; here is what makes it a bad place.
"""

from __future__ import annotations

import msgspec

from jobd.core.doctor.finding import Finding, error, note, ok, warning
from jobd.core.durations import words
from jobd.core.server_facts import ServerFacts, judge
from jobd.core.sizes import size_words

# Of a healthy server in the same network a round trip takes a tenth of this.
_SLOW = 0.005
# Renewals come each sixth of a lease, and two may fail.
_SHARE_OF_LEASE = 6
_SKEWED = 1.0
_SKEWED_BADLY = 60.0
_LONG_FORK = 0.5
# What is judged here with the figures of this instant.
_WITH_FIGURES = ("cluster:", "maxmemory:", "min-replicas-to-write:")


class StoreFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured. `trips` are seconds a round trip; `skew` how far this host's clock is ahead.

    None: the server does not say, or not to us.
    """

    place: str
    server: ServerFacts | None = None
    trips: tuple[float, ...] = ()
    skew: float | None = None
    fsync: str | None = None  # appendfsync, where there is an AOF
    clients: int | None = None
    most_clients: int | None = None
    memory_of_host: int | None = None
    last_fork: float | None = None  # seconds the server stood still for its last save
    replicas: int | None = None
    replicas_wanted: int | None = None  # min-replicas-to-write
    cluster: bool = False
    up_for: float | None = None
    format: int | str | None = None  # of the keys that are there; a text for what is no number


def examine(
    facts: StoreFacts, *, lease: float, format_known: int, keeps_nothing: bool = False
) -> list[Finding]:
    """Judge a server that answered."""
    found: list[Finding] = []
    if facts.server is None:
        found.append(
            note("redis.info", f"{facts.place}: INFO is refused to this user", "allow it `+info`")
        )
    else:
        found += _fit(facts.server, keeps_nothing)
        found += _room(facts, facts.server)
    found += _durable(facts, keeps_nothing)
    found += _quick(facts, lease)
    found += _clock(facts)
    found += _shape(facts, format_known)
    return found


def _fit(server: ServerFacts, keeps_nothing: bool) -> list[Finding]:
    unfit = [
        each
        for each in judge(server, keeps_nothing=keeps_nothing)
        if not each.why.startswith(_WITH_FIGURES)
    ]
    found = [ok("redis.version", f"{server.name} {server.version}, {_role(server.role)}")]
    for each in unfit:
        what, _, do = each.why.rpartition("; ")
        name = "redis." + what.partition(":")[0].replace("-", "_")
        found.append(Finding(name, each.level, what, do))
    if not any(each.why.startswith("maxmemory-policy") for each in unfit):
        found.append(ok("redis.maxmemory_policy", f"maxmemory-policy is {server.eviction}"))
    return [each for each in found if each.level != "ok" or not _spoiled(each, found)]


def _spoiled(good: Finding, found: list[Finding]) -> bool:
    """Say whether another line says that this is not so good after all."""
    names = {each.name for each in found if each.level != "ok"}
    return good.name in names or (good.name == "redis.version" and "redis.role" in names)


def _role(role: str) -> str:
    return "the primary" if role == "master" else role


def _room(facts: StoreFacts, server: ServerFacts) -> list[Finding]:
    used, most = server.used_memory, server.max_memory
    do = "raise maxmemory, lower `retain`, or see `jobd queues list` for what has piled up"
    if not most:
        whole = facts.memory_of_host
        if whole and used > 0.75 * whole:
            return [
                warning(
                    "redis.memory",
                    f"{size_words(used)} used of the {size_words(whole)} its machine has, and no maxmemory",
                    "set maxmemory: then adding is refused, instead of the server being killed",
                )
            ]
        return [ok("redis.memory", f"{size_words(used)} used, without a maxmemory")]
    share = used / most
    words_ = f"{size_words(used)} used of {size_words(most)} maxmemory ({share:.0%})"
    if share >= 0.95:
        return [error("redis.memory", f"{words_}: adding jobs is refused, or about to be", do)]
    if share >= 0.75:
        return [warning("redis.memory", words_, do)]
    return [ok("redis.memory", words_)]


def _durable(facts: StoreFacts, keeps_nothing: bool) -> list[Finding]:
    found = [] if keeps_nothing else _kept(facts)
    wanted, there = facts.replicas_wanted or 0, facts.replicas
    if there is not None and wanted > there:
        found.append(
            error(
                "redis.replicas",
                f"min-replicas-to-write is {wanted}, and {there} are connected: every write is refused",
                "bring replicas back, or lower min-replicas-to-write",
            )
        )
    if facts.last_fork is not None and facts.last_fork > _LONG_FORK:
        found.append(
            warning(
                "redis.fork",
                f"the server stood still for {words(facts.last_fork)} when it last saved",
                "switch off transparent huge pages there, or keep less in it (`retain`)",
            )
        )
    return found


def _kept(facts: StoreFacts) -> list[Finding]:
    """Say what is lost, and when: of what the server said yes to."""
    name = "redis.appendfsync"
    on = "AOF, appendfsync"
    behind = ""
    if facts.replicas:
        behind = (
            "; where a replica takes over, what had not reached it yet is lost, a moment's jobs"
        )
    if facts.fsync == "no":
        said = f"appendfsync is `no`: a power failure loses half a minute of jobs{behind}"
        return [warning(name, said, "set `appendfsync everysec`")]
    if facts.fsync == "always":
        said = f"{on} always: each job is on the disk before it is acknowledged{behind}"
        return [ok(name, said)]
    if facts.fsync is not None:
        lost = "a crash of the server loses nothing, a power failure up to two seconds of jobs"
        return [ok(name, f"{on} {facts.fsync}: {lost}{behind}")]
    if facts.server is not None and facts.server.persistent:
        said = f"snapshots (RDB) only: a crash of the server loses all since the last one{behind}"
        return [note(name, said, "set `appendonly yes`, if these jobs may not be lost")]
    return []


def _quick(facts: StoreFacts, lease: float) -> list[Finding]:
    if not facts.trips:
        return []
    ordered = sorted(facts.trips)
    middle, worst = ordered[len(ordered) // 2], ordered[-1]
    said = f"a round trip takes {_trip(middle)}, the worst of {len(ordered)} {_trip(worst)}"
    if worst > lease / _SHARE_OF_LEASE:
        return [
            error(
                "redis.latency",
                f"{said}; leases of {words(lease)} are renewed every {words(lease / _SHARE_OF_LEASE)}",
                "find what is slow (SLOWLOG GET, its machine, the network), or raise daemon.lease",
            )
        ]
    if middle > _SLOW:
        return [
            warning(
                "redis.latency",
                said,
                "bring server and workers closer together, or see SLOWLOG GET: each claim waits for it",
            )
        ]
    return [ok("redis.latency", said)]


def _trip(span: float) -> str:
    return f"{span * 1000:.2g}ms" if span < 0.1 else words(span)


def _clock(facts: StoreFacts) -> list[Finding]:
    if facts.skew is None:
        return []
    return [skew("clock.redis", "this host's clock", facts.skew)]


def skew(name: str, whose: str, ahead: float) -> Finding:
    """Judge a clock against Redis'."""
    side = "ahead of" if ahead > 0 else "behind"
    if abs(ahead) <= _SKEWED:
        return ok(name, f"{whose} is within {words(max(0.001, abs(ahead)))} of Redis'")
    said = f"{whose} is {words(abs(ahead))} {side} Redis'"
    do = (
        "let NTP (chrony, systemd-timesyncd) keep both clocks; due times follow Redis', logs do not"
    )
    return (error if abs(ahead) > _SKEWED_BADLY else warning)(name, said, do)


def _shape(facts: StoreFacts, format_known: int) -> list[Finding]:
    found = []
    clients, most = facts.clients, facts.most_clients
    if clients is not None and most:
        said = f"{clients} of {most} connections are used"
        if clients > 0.8 * most:
            found.append(warning("redis.clients", said, "raise maxclients, or find who holds them"))
        else:
            found.append(ok("redis.clients", said))
    if facts.cluster:
        found.append(
            error(
                "redis.cluster",
                "this server is a node of a cluster, which is spoken to as if it were alone",
                "use a server outside the cluster",
            )
        )
    if facts.format is not None and facts.format != format_known:
        found.append(
            error(
                "redis.format",
                f"its keys are of format {facts.format}; this version knows {format_known}",
                "use the version of jobd that wrote them, or another redis.namespace",
            )
        )
    if facts.up_for is not None and facts.up_for < 60:
        found.append(
            note("redis.uptime", f"the server was started {words(facts.up_for)} ago", "see its log")
        )
    return found
