"""Facts about the memory of workers. The supervisor tells them."""

from __future__ import annotations

from typing import ClassVar

from jobd.core.events import Event, Level


class MemoryOverLimit(Event, frozen=True, kw_only=True):
    """A worker has more memory of its own than it may have; `then` is what is done about it."""

    event: ClassVar[str] = "memory.over_limit"
    level: ClassVar[Level] = "warning"
    slot: str
    incarnation: str
    memory: str
    limit: str
    ran: int
    then: str


class MemoryLimitTooLow(Event, frozen=True, kw_only=True):
    """A worker is over its limit as soon as it is ready, so the next one will be too."""

    event: ClassVar[str] = "memory.limit_too_low"
    level: ClassVar[Level] = "error"
    slot: str
    memory: str
    limit: str
    next_in: float
    hint: str = "the application alone takes more than memory_limit; raise it"
