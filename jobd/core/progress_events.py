"""What is seen of processes that make no progress, as events."""

from __future__ import annotations

from typing import ClassVar

from jobd.core.events import Event, Level


class Hung(Event, frozen=True, kw_only=True):
    """A process of ours is alive and makes no progress; its stacks follow, and it is replaced.

    `who` is a worker's slot or a helper's name; `cause` is hung, or boot for one that never began.
    """

    event: ClassVar[str] = "process.hung"
    level: ClassVar[Level] = "error"
    who: str
    cause: str
    why: str


class Stacks(Event, frozen=True, kw_only=True):
    """Where the threads of a process are, as Python's faulthandler writes it; `why` they were asked
    for: hung, boot, or SIGUSR1."""

    event: ClassVar[str] = "process.stacks"
    level: ClassVar[Level] = "warning"
    who: str
    pid: int
    why: str
    stacks: str


class StacksMissing(Event, frozen=True, kw_only=True):
    """A process did not say where its threads are."""

    event: ClassVar[str] = "process.stacks_missing"
    level: ClassVar[Level] = "warning"
    who: str
    pid: int
    why: str
    reason: str
