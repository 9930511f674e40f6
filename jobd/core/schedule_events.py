"""What happens to schedules, as frozen facts; see jobd.core.events. Emitted by the keeper."""

from __future__ import annotations

from typing import ClassVar

from jobd.core.events import Event, Level


class ScheduleFired(Event, frozen=True, kw_only=True):
    """Slots of a schedule were fired; `slot` is the last of them, in UTC. `jobs` so many were added,
    fewer where a job of the same lock still lives."""

    event: ClassVar[str] = "schedule.fired"
    level: ClassVar[Level] = "debug"
    schedule: str
    queue: str
    slot: str
    slots: int
    jobs: int


class ScheduleMissed(Event, frozen=True, kw_only=True):
    """Slots went by with nobody to fire them within a minute; `run` of them became jobs late."""

    event: ClassVar[str] = "schedule.missed"
    level: ClassVar[Level] = "warning"
    schedule: str
    queue: str
    slots: int
    run: int


class ScheduleDeclared(Event, frozen=True, kw_only=True):
    """A schedule was made or changed by what this host's code or file says. `how` says which."""

    event: ClassVar[str] = "schedule.declared"
    schedule: str
    queue: str
    how: str


class ScheduleGone(Event, frozen=True, kw_only=True):
    """No host has declared a schedule for ten minutes: it was removed."""

    event: ClassVar[str] = "schedule.gone"
    schedule: str
    queue: str


class ScheduleUnusable(Event, frozen=True, kw_only=True):
    """A schedule is due and this host cannot reckon its slots."""

    event: ClassVar[str] = "schedule.unusable"
    level: ClassVar[Level] = "error"
    schedule: str
    queue: str
    why: str


class SchedulesUnwritten(Event, frozen=True, kw_only=True):
    """The keeper cannot be told which schedules the application declares."""

    event: ClassVar[str] = "schedules.unwritten"
    level: ClassVar[Level] = "error"
    app: str
    why: str
