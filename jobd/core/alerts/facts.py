"""What rules look at: queues, hosts and the store, as they were at one instant of Redis' clock.

None means unknown, never zero: a rule over what is unknown neither fires nor resolves. Gathered by
jobd.alerter.facts.
"""

from __future__ import annotations

import msgspec

from jobd.core.portrait import Host


class QueueFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One queue. Spans are seconds.

    `claimed_ago`: since when nothing was claimed (None: nothing ever was). `minutes`: outcomes by the
    minute since 1970. `died`: how many jobs died, by the span in which. `overdue`: schedules by name,
    and for how long each has been due; `skipped`: how many slots each has passed over in all.
    `interrupted`: how many jobs were interrupted for the fifth time, in all; the last of them by id.
    """

    due: int = 0
    oldest: float = 0.0
    paused: bool = False
    limited: bool = False
    workers: int = 0
    claimed_ago: float | None = None
    minutes: dict[int, dict[str, int]] = {}
    died: dict[float, int] = {}
    overdue: dict[str, float] = {}
    skipped: dict[str, int] = {}
    interrupted: int = 0
    interrupted_last: str = ""


class StoreFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The server, in bytes; 0 where it does not say. `unfit`: what is wrong with it. `reset_ago`: for how
    long it has been another one than before, in seconds, where somebody noticed."""

    used_memory: int = 0
    max_memory: int = 0
    host_memory: int = 0
    unfit: tuple[str, ...] = ()
    reset_ago: float | None = None


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All that was asked for. `at_ms` is Redis' clock; of the watch of one host, that host's."""

    at_ms: int
    queues: dict[str, QueueFacts] | None = None
    hosts: list[Host] | None = None
    store: StoreFacts | None = None
    unreachable: str | None = None
    """Why this host cannot use Redis; '' where it can. Known to a host of itself alone."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a rule looks at, and its value in the unit of the kind; None where that is unknown."""

    of: str
    value: float | None
    shown: str = ""
