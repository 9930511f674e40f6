"""What the alerter says in the log: a rule's transitions, and what keeps it from looking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from jobd.core.alerts.notification import Notification
from jobd.core.events import Event, Level


class _Transition(Event, frozen=True, kw_only=True):
    """What a rule goes through; `sinks` are told."""

    rule: str
    severity: str
    summary: str
    id: str
    sinks: tuple[str, ...]


class AlertFiring(_Transition, frozen=True, kw_only=True):
    """A rule fires, or more of what it looks at does."""

    event: ClassVar[str] = "alert.firing"
    level: ClassVar[Level] = "warning"


class AlertResolved(_Transition, frozen=True, kw_only=True):
    """What fired is over."""

    event: ClassVar[str] = "alert.resolved"


class AlertRepeated(_Transition, frozen=True, kw_only=True):
    """It fires still, and is told again."""

    event: ClassVar[str] = "alert.repeated"
    level: ClassVar[Level] = "warning"


class AlertDiffers(Event, frozen=True, kw_only=True):
    """Hosts define a rule differently; `why` says who how, and what counts."""

    event: ClassVar[str] = "alert.differs"
    level: ClassVar[Level] = "warning"
    rule: str
    why: str


class AlertAgrees(Event, frozen=True, kw_only=True):
    """All hosts that have a rule define it alike again."""

    event: ClassVar[str] = "alert.agrees"
    rule: str


class AlertsBlind(Event, frozen=True, kw_only=True):
    """Rules cannot be looked at, for Redis cannot be used; what fires goes on firing."""

    event: ClassVar[str] = "alerts.blind"
    level: ClassVar[Level] = "warning"
    why: str


class AlertsSee(Event, frozen=True, kw_only=True):
    """Rules are looked at again."""

    event: ClassVar[str] = "alerts.see"


class AlertsUnwritten(Event, frozen=True, kw_only=True):
    """What this host's own alerts are cannot be written down; they are kept in memory for now."""

    event: ClassVar[str] = "alerts.unwritten"
    level: ClassVar[Level] = "error"
    why: str


def of_notification(note: Notification, sinks: Sequence[str]) -> Event:
    """Give the event of a transition."""
    kinds: dict[str, type[_Transition]] = {
        "firing": AlertFiring,
        "resolved": AlertResolved,
        "repeated": AlertRepeated,
    }
    return kinds[note.status](
        rule=note.rule, severity=note.severity, summary=note.summary, id=note.id, sinks=tuple(sinks)
    )
