"""What happens between a daemon and its Redis, as frozen facts; see jobd.core.events."""

from __future__ import annotations

from typing import ClassVar

from jobd.core.events import Event, Level


class BrokerLost(Event, frozen=True, kw_only=True):
    """Redis does not answer. We try again with back-off; nothing else stops."""

    event: ClassVar[str] = "broker.lost"
    level: ClassVar[Level] = "warning"
    why: str
    next: str = "trying again until it answers"


class BrokerBack(Event, frozen=True, kw_only=True):
    """Redis answers again."""

    event: ClassVar[str] = "broker.back"


class StoreDoubtful(Event, frozen=True, kw_only=True):
    """Something about the server may cost jobs later."""

    event: ClassVar[str] = "store.doubtful"
    level: ClassVar[Level] = "warning"
    why: str


class StoreUnfit(Event, frozen=True, kw_only=True):
    """Something about the server may cost jobs, or lets none through."""

    event: ClassVar[str] = "store.unfit"
    level: ClassVar[Level] = "error"
    why: str


class StoreReset(Event, frozen=True, kw_only=True):
    """The store lives another life (flushed, replaced): what was claimed is given up."""

    event: ClassVar[str] = "store.reset"
    level: ClassVar[Level] = "error"


class WorkerReleased(Event, frozen=True, kw_only=True):
    """A dead worker's jobs are back in their queue."""

    event: ClassVar[str] = "worker.released"
    incarnation: str
    queue: str
    cause: str


class ReleaseRefused(Event, frozen=True, kw_only=True):
    """Redis refuses to give back what a dead worker held. It is tried again; others are not held up."""

    event: ClassVar[str] = "release.refused"
    level: ClassVar[Level] = "error"
    incarnation: str
    queue: str
    why: str


class LeaseReaped(Event, frozen=True, kw_only=True):
    """A host is gone: what its worker held is back in the queue."""

    event: ClassVar[str] = "lease.reaped"
    level: ClassVar[Level] = "warning"
    incarnation: str
    queue: str


class JobsRevoked(Event, frozen=True, kw_only=True):
    """Jobs behind one that holds its worker up were given to others."""

    event: ClassVar[str] = "jobs.revoked"
    incarnation: str
    queue: str
    jobs: int
