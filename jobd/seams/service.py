"""What web and alerter hear of their supervisor, and what they say to it.

The supervisor says how the daemon is once a second, and so that it turns; a service says that it turns,
and is replaced when it does not (jobd.supervisor.progress). When the channel closes the service ends.
"""

from __future__ import annotations

import msgspec

from jobd.seams.clock import mono
from jobd.seams.lines import Lines

BEAT_EVERY = 1.0


class DaemonState(msgspec.Struct, frozen=True):
    """The daemon, as its supervisor says it is."""

    ready: bool = False
    stopping: bool = False


class _Message(msgspec.Struct):
    daemon: DaemonState | None = None


class Attendance:
    """A service's end of its channel. Watch `fileno` for reading, `hear` then; `beat` once a second."""

    def __init__(self, channel: Lines) -> None:
        self.daemon = DaemonState()
        self.heard_at = mono()
        """When the supervisor last said something; by the monotonic clock."""
        self.has_heard = False
        """Whether it has said anything yet: `daemon` is its word."""
        self._channel = channel
        self._beats = 0

    def fileno(self) -> int:
        return self._channel.fileno()

    @property
    def closed(self) -> bool:
        return self._channel.closed

    def hear(self) -> None:
        """Take in what has come."""
        for message in self._channel.receive():
            said = msgspec.convert(message, _Message).daemon
            if said is not None:
                self.daemon, self.heard_at, self.has_heard = said, mono(), True

    def beat(self) -> None:
        """Say that we turn."""
        self._beats += 1
        self._channel.send({"beat": self._beats})
