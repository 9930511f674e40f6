"""Where the dashboard of a daemon is, told to the person who starts it."""

from __future__ import annotations

from socket import AF_INET6, socket

from jobd.cli.settings import Settings
from jobd.core.events import LEVELS
from jobd.core.web_events import WebServed
from jobd.seams.log import Log
from jobd.seams.logstream import of_process

_HOW = "no dashboard is served; to have one add [web.dashboard] with users, or with open = true on your own machine"


def tell(found: Settings, opened: socket | None, *, activated: bool) -> None:
    """Say where it is, or how to have one; nothing where nothing at all is served."""
    if opened is None and not activated:
        return
    where = "the sockets of systemd" if opened is None else _url(opened)
    has_one = found.config.web.dashboard is not None
    why = f"dashboard: {where}" if has_one else f"health and metrics: {where}; {_HOW}"
    said = found.config.daemon.log
    if LEVELS[WebServed.level] >= LEVELS[said.level]:
        log = Log(style=said.format, level=said.level, role="supervisor", fd=of_process())
        log.paragraph(WebServed(why=why))


def _url(opened: socket) -> str:
    """Give the address that it listens at, as a browser is given it."""
    host, port = opened.getsockname()[:2]
    return f"http://[{host}]:{port}/" if opened.family == AF_INET6 else f"http://{host}:{port}/"
