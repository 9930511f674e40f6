"""What systemd is told. Without NOTIFY_SOCKET every call does nothing. Used by the supervisor.

A service that starts or stops has a time limit in its unit. While the daemon is at it, and says so
by `alive`, it asks for more every few seconds: how long an application may import and how long jobs
may take is the daemon's to bound. One that hangs asks for nothing, and the unit's limit ends it.
"""

from __future__ import annotations

import os
from typing import Any

import sdnotify

from jobd.seams import clock

_EXTEND_EVERY = 2.0
_EXTEND_BY = 10.0
_MICRO = 1_000_000


class Notifier:
    """Speaks sd_notify(3). The variables are taken out of the environment: children do not speak."""

    def __init__(self) -> None:
        self._notifier = _connected() if os.environ.get("NOTIFY_SOCKET") else None
        os.environ.pop("NOTIFY_SOCKET", None)
        self.watchdog = os.environ.pop("WATCHDOG_USEC", None) is not None
        self._limited = True  # it starts, or stops: the unit's limit runs
        self._extend_at = 0.0
        self._unsent: list[str] = []

    def ready(self) -> None:
        """Say that the daemon works: as it has begun to, or again after `reloading`."""
        self._limited = False
        self._send("READY=1", keep=True)

    def reloading(self) -> None:
        """Say that a reload begins, which `ready` ends; for units of Type=notify-reload."""
        # The two belong into one datagram, or systemd takes the time for that of another reload.
        self._send(f"RELOADING=1\nMONOTONIC_USEC={int(clock.mono() * _MICRO)}", keep=True)

    def stopping(self) -> None:
        """Say that the daemon is on its way out."""
        self._limited = True
        self._extend_at = 0.0
        self._send("STOPPING=1", keep=True)
        self._extend()

    def status(self, text: str) -> None:
        """Give the line that `systemctl status` shows."""
        line = text.replace("\n", " ").encode("ascii", "backslashreplace").decode()
        self._send("STATUS=" + line)

    def alive(self) -> None:
        """Say that the loop turns: feed the watchdog, if the unit has one, and ask for time."""
        for message in self._take_unsent():
            self._send(message, keep=True)
        if self.watchdog:
            self._send("WATCHDOG=1")
        if self._limited:
            self._extend()

    def close(self) -> None:
        """Say nothing any more."""
        if self._notifier is not None:
            self._notifier.socket.close()
        self._notifier = None

    def _extend(self) -> None:
        now = clock.mono()
        if now >= self._extend_at:
            self._extend_at = now + _EXTEND_EVERY
            self._send(f"EXTEND_TIMEOUT_USEC={int(_EXTEND_BY * _MICRO)}")

    def _take_unsent(self) -> list[str]:
        taken, self._unsent = self._unsent, []
        return taken

    def _send(self, message: str, *, keep: bool = False) -> None:
        """Send; where systemd does not read just now, `keep` it for the next time."""
        if self._notifier is None:
            return
        try:
            self._notifier.notify(message)
        except BlockingIOError:
            if keep:
                self._unsent.append(message)
        except OSError:
            return  # nobody is there any more who could hear it


def _connected() -> Any:
    """Connect to who started us; None when that is nobody. The supervisor waits for no peer."""
    try:
        made = sdnotify.SystemdNotifier(debug=True)
    except OSError:
        return None
    made.socket.setblocking(False)
    return made
