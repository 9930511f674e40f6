"""What happens in the web process, as frozen facts; see jobd.core.events."""

from __future__ import annotations

from typing import ClassVar

from jobd.core.events import Event, Level


class WebFailed(Event, frozen=True, kw_only=True):
    """An answer could not be made, or a look at the world failed: a mistake in jobd.

    `path` is what was asked for, or the thread's name.
    """

    event: ClassVar[str] = "web.failed"
    level: ClassVar[Level] = "error"
    path: str
    why: str
