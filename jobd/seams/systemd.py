"""What systemd is told. Without NOTIFY_SOCKET every call does nothing. Used by the supervisor."""

from __future__ import annotations

import os

import sdnotify


class Notifier:
    """Speaks sd_notify(3). The variables are taken out of the environment: children do not speak."""

    def __init__(self) -> None:
        self._notifier = sdnotify.SystemdNotifier() if os.environ.get("NOTIFY_SOCKET") else None
        os.environ.pop("NOTIFY_SOCKET", None)
        self.watchdog = os.environ.pop("WATCHDOG_USEC", None) is not None

    def ready(self) -> None:
        self._send("READY=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        self._send("STATUS=" + text.replace("\n", " "))

    def alive(self) -> None:
        """Feed the watchdog, if the unit has one."""
        if self.watchdog:
            self._send("WATCHDOG=1")

    def close(self) -> None:
        """Say nothing any more."""
        if self._notifier is not None and self._notifier.socket is not None:
            self._notifier.socket.close()
        self._notifier = None

    def _send(self, message: str) -> None:
        if self._notifier is not None:
            self._notifier.notify(message)
