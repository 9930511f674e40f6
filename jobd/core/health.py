"""Is this daemon alive, and can it take work? What was seen goes in, the verdict comes out.

Invariant (I-46): it is live exactly if its supervisor has spoken within SILENT_AFTER, whatever Redis does.
It is ready only if it is live, has started and does not drain, Redis answered within REDIS_WITHIN and is
fit to hold jobs, a keeper has been up within half a lease, so that no lease has run out for want of
one, and every queue that is to have workers here has one that makes progress: Redis has answered a
claim of it, also since Redis was last of no use, or all its cells are busy. Being alive is not enough.

Pure. Instants are monotonic seconds. Judged by jobd.web.health.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from jobd.core.server_facts import Unfit

SILENT_AFTER = 10.0
REDIS_WITHIN = 2.5
# An idle worker asks every 2 s; after an outage that was too short to be noticed it needs 4 s more.
PROGRESS_WITHIN = 8.0
# A worker that ends is replaced at once: a queue is not without one because it was looked at just then.
WORKER_WITHIN = 1.0
LOOK_WITHIN = 5.0
# A helper that ended once is up again sooner.
HELPER_WITHIN = 2.0

_KEEPER = "keeper"

Status = Literal["live", "ready", "starting", "draining", "unready", "silent"]
# The words for programs. One is never given another meaning.
What = Literal[
    "supervisor_silent",
    "starting",
    "draining",
    "redis_unreachable",
    "store_unfit",
    "store_doubtful",
    "state_unread",
    "state_stale",
    "gave_up",
    "queue_no_worker",
    "queue_no_progress",
    "keeper_down",
    "reload_refused",
    "helper_down",
]


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """One finding: a word for programs, why for people, and what to do about it."""

    what: What
    why: str
    do: str
    queue: str | None = None


class RedisSeen(msgspec.Struct, frozen=True, kw_only=True):
    """Redis at the last looks. `answered_at`: None when it never has; `trouble`: why the last look failed.

    `lost_at`: when the last look began that found it of no use; None when none did.
    """

    answered_at: float | None = None
    trouble: str | None = None
    unfit: tuple[Unfit, ...] = ()
    lost_at: float | None = None

    @property
    def is_unfit(self) -> bool:
        """Whether it may cost jobs, or lets none through."""
        return any(unfit.level == "error" for unfit in self.unfit)


class QueueSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A queue's workers on this host: so many wanted, so many joined, of these so many with jobs.

    `alive_at`: when one that has joined was last seen; `progress_at`: when one last made progress.
    """

    wanted: int
    workers: int = 0
    busy: int = 0
    gave_up: bool = False
    alive_at: float | None = None
    progress_at: float | None = None


class HostSeen(msgspec.Struct, frozen=True, kw_only=True):
    """The runtime directory at the last look. `down`: the helpers that are not up, each since when.

    `stale_since`: when the supervisor could write there no more; then nothing else is known.
    """

    looked_at: float | None = None
    trouble: str | None = None
    stale_since: float | None = None
    queues: dict[str, QueueSeen] = {}
    down: dict[str, float] = {}
    reload_refused: bool = False


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known. `heard_at`: when the supervisor last spoke; `ready`, `stopping`: its word.

    `lease`: for how many seconds a worker that nobody renews is taken for alive by other hosts.
    """

    heard_at: float
    ready: bool = False
    stopping: bool = False
    lease: float = 30.0
    redis: RedisSeen = RedisSeen()
    host: HostSeen = HostSeen()


class QueueHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One queue in the answer. `progress_ago`: seconds since a worker of it last made progress."""

    ok: bool
    wanted: int
    workers: int
    busy: int
    progress_ago: float | None


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as it is sent. `warnings` make nobody unready."""

    ok: bool
    status: Status
    reasons: list[Reason] = []
    warnings: list[Reason] = []
    queues: dict[str, QueueHealth] = {}


def liveness(facts: Facts, now: float) -> Health:
    """Say whether the daemon itself works."""
    if reason := _silent(facts, now):
        return Health(ok=False, status="silent", reasons=[reason])
    return Health(ok=True, status="live")


def readiness(facts: Facts, now: float) -> Health:
    """Say whether the daemon can take work."""
    reasons = [*_daemon(facts, now), *_redis(facts.redis, now), *_host(facts, now)]
    return Health(
        ok=not reasons,
        status=_status(reasons),
        reasons=reasons,
        warnings=[*_doubts(facts.redis), *_warnings(facts, now)],
        queues={
            name: _health(name, seen, facts.redis.lost_at, now)
            for name, seen in facts.host.queues.items()
        },
    )


def _status(reasons: list[Reason]) -> Status:
    words = [reason.what for reason in reasons]
    if not words:
        return "ready"
    if "supervisor_silent" in words:
        return "silent"
    if "draining" in words:
        return "draining"
    return "starting" if "starting" in words else "unready"


# --- the daemon ---


def _silent(facts: Facts, now: float) -> Reason | None:
    silent = now - facts.heard_at
    if silent < SILENT_AFTER:
        return None
    return Reason(
        "supervisor_silent",
        f"the supervisor has said nothing for {silent:.0f} s; expected a word every second",
        "see `jobd status`: it may be stopped, or the machine overloaded; else restart the daemon",
    )


def _daemon(facts: Facts, now: float) -> Iterator[Reason]:
    if silent := _silent(facts, now):
        yield silent
    if facts.stopping:
        yield Reason(
            "draining",
            "the daemon is stopping; its jobs end, it takes no more",
            "send work elsewhere; one that is started next takes it",
        )
    elif not facts.ready:
        yield Reason(
            "starting",
            "the application is being loaded, or a worker has not begun yet",
            "wait; see the log if it does not pass",
        )


# --- Redis ---


def _redis(redis: RedisSeen, now: float) -> Iterator[Reason]:
    if redis.trouble is None and redis.answered_at is None:
        yield Reason("starting", "Redis was not looked at yet", "wait for a second")
        return
    silent = None if redis.answered_at is None else now - redis.answered_at
    if redis.trouble is not None:
        yield Reason("redis_unreachable", *parted(redis.trouble))
    elif silent is not None and silent > REDIS_WITHIN:
        yield Reason(
            "redis_unreachable",
            f"Redis has not answered for {silent:.1f} s",
            "see whether the server hangs or the network drops packets",
        )
    yield from (
        Reason("store_unfit", *parted(unfit.why)) for unfit in redis.unfit if unfit.level == "error"
    )


def _doubts(redis: RedisSeen) -> Iterator[Reason]:
    for unfit in redis.unfit:
        if unfit.level == "warning":
            yield Reason("store_doubtful", *parted(unfit.why))


def parted(message: str) -> tuple[str, str]:
    """Part a message of the house in what is wrong and what to do: "what; expected ...; do"."""
    why, found, do = message.rpartition("; ")
    return (why, do) if found else (message, "see the log")


def is_reachable(redis: RedisSeen, now: float) -> bool:
    """Say whether Redis answers."""
    answered = redis.answered_at
    return redis.trouble is None and answered is not None and now - answered <= REDIS_WITHIN


# --- the queues ---


def _host(facts: Facts, now: float) -> Iterator[Reason]:
    host = facts.host
    stale = host.looked_at is None or now - host.looked_at > LOOK_WITHIN
    if stale and host.looked_at is None and host.trouble is None:
        yield Reason("starting", "the daemon's state was not looked at yet", "wait for a second")
    elif stale or host.trouble is not None:
        why = host.trouble or "no look at the daemon's state has ended lately"
        yield Reason(
            "state_unread",
            f"{why}; expected to read what runs from the runtime directory",
            "see `jobd status`, and whether the directory's disk is full",
        )
    elif host.stale_since is not None:
        yield Reason(
            "state_stale",
            f"state.json is {max(0.0, now - host.stale_since):.0f} s old: the runtime directory may be "
            "full; what runs here is not known",
            "make room there: it is tried every second; see state.unwritten in the log",
        )
    else:
        yield from _keeper(facts, now)
        # Who asks Redis in vain makes no progress, nor does who drains: that was said.
        blameless = not is_reachable(facts.redis, now) or facts.stopping
        for name, queue in host.queues.items():
            reason = _trouble(name, queue, facts.redis.lost_at, now)
            if reason is not None and (reason.what == "gave_up" or not blameless):
                yield reason


def _keeper(facts: Facts, now: float) -> Iterator[Reason]:
    away = now - facts.host.down.get(_KEEPER, now)
    if away > facts.lease / 2 and not facts.stopping:
        yield Reason(
            "keeper_down",
            f"no keeper has been up for {away:.0f} s: nobody renews the leases of {facts.lease:g} s "
            "that workers here have, and their jobs are given to others when these end",
            "see helper.ended in the log for why it does not start",
        )


def _trouble(name: str, queue: QueueSeen, lost_at: float | None, now: float) -> Reason | None:
    if queue.wanted <= 0:
        return None
    if queue.gave_up:
        return Reason(
            "gave_up",
            f"queue {name}: its workers end one after another without having run a job",
            "see worker.died in the log; what is mended is found by the next try, or by `jobd reload`",
            name,
        )
    if not _within(queue.alive_at, WORKER_WITHIN, now):
        return Reason(
            "queue_no_worker",
            f"queue {name}: no worker of it runs here; expected {queue.wanted}",
            "see worker.died in the log, and `jobd status`",
            name,
        )
    # What was claimed before Redis was lost says nothing of how it is now.
    recent = _within(queue.progress_at, PROGRESS_WITHIN, now)
    if not recent or (lost_at is not None and (queue.progress_at or 0.0) <= lost_at):
        return Reason(
            "queue_no_progress",
            f"queue {name}: no claim of its workers was answered {_lately(queue, now)}",
            "a worker that hangs is replaced; `jobd dump` shows where it is",
            name,
        )
    return None


def _lately(queue: QueueSeen, now: float) -> str:
    at = queue.progress_at
    return "yet" if at is None else f"for {now - at:.0f} s"


def _within(instant: float | None, span: float, now: float) -> bool:
    return instant is not None and now - instant <= span


def _health(name: str, queue: QueueSeen, lost_at: float | None, now: float) -> QueueHealth:
    at = queue.progress_at
    return QueueHealth(
        ok=_trouble(name, queue, lost_at, now) is None,
        wanted=queue.wanted,
        workers=queue.workers,
        busy=queue.busy,
        progress_ago=None if at is None else round(max(0.0, now - at), 1),
    )


def _warnings(facts: Facts, now: float) -> Iterator[Reason]:
    host = facts.host
    if host.reload_refused:
        # Not its text: that may quote a file, and whoever reaches the port reads this.
        yield Reason(
            "reload_refused",
            "the last reload was refused; the daemon runs with what it had before",
            "see `jobd status` for the reason",
        )
    for name, since in host.down.items():
        # Of a daemon that stops they end one after another.
        is_reason = name == _KEEPER and now - since > facts.lease / 2
        if now - since > HELPER_WITHIN and not is_reason and not facts.stopping:
            yield Reason(
                "helper_down",
                f"{name} is not up, for {now - since:.0f} s; when it ends it is started again",
                "wait while the daemon starts; else see helper.ended in the log",
            )


# --- following workers from look to look ---


class PageSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A worker that lives and has joined: when Redis last answered a claim, cells in use, cells."""

    queue: str
    asked: float
    busy: int
    cells: int


def followed(
    before: QueueSeen | None, now_wanted: QueueSeen, pages: list[PageSeen], now: float
) -> QueueSeen:
    """Bring a queue's figures up to date by one look at its workers.

    What was seen of those that have ended since still counts: a successor may need a moment.
    """
    progress = [now if page.busy >= page.cells else page.asked for page in pages]
    known = None if before is None else before.progress_at
    latest = max((at for at in (known, *progress) if at), default=None)
    alive_at = now if pages else None if before is None else before.alive_at
    return msgspec.structs.replace(
        now_wanted,
        workers=len(pages),
        busy=sum(page.busy > 0 for page in pages),
        alive_at=alive_at,
        progress_at=latest,
    )
