"""What happens while people are told, as frozen facts; see jobd.core.events.

Of an address only its scheme and host are said (`to`): the rest of it may be a secret.
"""

from __future__ import annotations

from typing import ClassVar

from jobd.core.events import Event, Level


class _Notification(Event, frozen=True, kw_only=True):
    """One notification, for one sink. `id` is what it is sent under, at each try."""

    rule: str
    status: str
    sink: str
    to: str
    id: str
    tries: int


class AlertSent(_Notification, frozen=True, kw_only=True):
    """A sink has taken a notification."""

    event: ClassVar[str] = "alert.sent"


class AlertRefused(_Notification, frozen=True, kw_only=True):
    """A sink has not taken a notification. It is tried again."""

    event: ClassVar[str] = "alert.refused"
    level: ClassVar[Level] = "warning"
    why: str
    retry_in: float


class AlertGivenUp(_Notification, frozen=True, kw_only=True):
    """A notification is not told to a sink any more: nobody has heard of it there."""

    event: ClassVar[str] = "alert.given_up"
    level: ClassVar[Level] = "error"
    why: str


class AlertsDropped(Event, frozen=True, kw_only=True):
    """There is more to tell than an outbox holds: so many of the oldest are not told any more."""

    event: ClassVar[str] = "alert.dropped"
    level: ClassVar[Level] = "error"
    deliveries: int
    hint: str = "see why the sinks take nothing (alert.refused), and whether a rule flaps"


class OutboxUnreadable(Event, frozen=True, kw_only=True):
    """The file of what this host is still to tell could not be read. It was moved aside, to `aside`."""

    event: ClassVar[str] = "alert.outbox_unreadable"
    level: ClassVar[Level] = "error"
    aside: str
    why: str


class OutboxUnwritten(Event, frozen=True, kw_only=True):
    """The file of what this host is still to tell cannot be written. It is told all the same, unless
    this process ends before."""

    event: ClassVar[str] = "alert.outbox_unwritten"
    level: ClassVar[Level] = "error"
    why: str


class HeartbeatMissed(Event, frozen=True, kw_only=True):
    """The sign of life did not arrive. Said once, until one does."""

    event: ClassVar[str] = "heartbeat.missed"
    level: ClassVar[Level] = "warning"
    to: str
    why: str


class HeartbeatHeld(Event, frozen=True, kw_only=True):
    """No sign of life is given, since this host is not well."""

    event: ClassVar[str] = "heartbeat.held"
    level: ClassVar[Level] = "warning"
    to: str


class HeartbeatBack(Event, frozen=True, kw_only=True):
    """The sign of life arrives; said of the first one, and of the first after a pause."""

    event: ClassVar[str] = "heartbeat.back"
    to: str
