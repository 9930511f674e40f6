"""What happens in the web process, as frozen facts; see jobd.core.events."""

from __future__ import annotations

from typing import ClassVar

from jobd.core.events import Event, Level, Told


class WebFailed(Event, frozen=True, kw_only=True):
    """An answer could not be made, or a look at the world failed: a mistake in jobd.

    `path` is what was asked for, or the thread's name.
    """

    event: ClassVar[str] = "web.failed"
    level: ClassVar[Level] = "error"
    path: str
    why: str


class WebServed(Told, frozen=True, kw_only=True):
    """Where the dashboard is, or how to have one."""

    event: ClassVar[str] = "web.served"
    level: ClassVar[Level] = "info"


class WebAudit(Event, frozen=True, kw_only=True):
    """Somebody did something over HTTP, or was refused.

    `who` came by `via` (session, token, open; host: as the application says that this is mounted in; login
    for one who tries to), from `address`. `what` is the
    action, `on` what it was about. `outcome`: done, refused, failed. `unsaid`: refusals before this one
    that were too many to be told each.
    """

    event: ClassVar[str] = "web.audit"
    who: str
    via: str
    address: str
    what: str
    on: dict[str, str]
    outcome: str
    why: str | None = None
    unsaid: int | None = None


class WebProxyUnnamed(Told, frozen=True, kw_only=True):
    """A request names the client that it is for, and its sender is no named proxy; told once."""

    event: ClassVar[str] = "web.proxy_unnamed"
    level: ClassVar[Level] = "warning"
    peer: str


class WebOperationEnded(Event, frozen=True, kw_only=True):
    """What somebody began over HTTP, on many jobs, has ended: done, stopped or failed.

    `counts` says what became of those that were meant, by the word of each.
    """

    event: ClassVar[str] = "web.operation_ended"
    who: str
    operation: str
    what: str
    queue: str | None
    outcome: str
    dry_run: bool
    counts: dict[str, int]
    why: str | None = None
