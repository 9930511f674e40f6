"""What a host does since another one asked, as events."""

from __future__ import annotations

from typing import ClassVar

from jobd.core.events import Event, Level


class OrderCarriedOut(Event, frozen=True, kw_only=True):
    """Somebody asked this daemon for something, on another host; `why_not` where it was not done."""

    event: ClassVar[str] = "host.asked"
    level: ClassVar[Level] = "info"
    what: str
    slot: str | None
    by: str
    why_not: str | None = None
