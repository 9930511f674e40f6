"""The helpers' channels, watched for what they have to say and, while something waits, for room.

Invariant: nothing waits for a helper; what it does not read is kept up to a bound, and then refused.
Called by jobd.supervisor.ears, hands and telling.
"""

from __future__ import annotations

import selectors
import signal

from jobd.seams.host import send
from jobd.seams.lines import Lines
from jobd.supervisor.children import Child


class Channels:
    """Speaks to helpers over the channels of `children`, for a loop that waits on `selector`."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector

    def open(self, name: str, child: Child) -> None:
        """Watch a helper that was started."""
        self._selector.register(child.pidfd, selectors.EVENT_READ, ("helper", name))
        if child.channel is not None:
            data = ("channel", name)
            self._selector.register(child.channel.fileno(), selectors.EVENT_READ, data)

    def say(self, name: str, child: Child, message: object, fd: int | None = None) -> bool:
        """Send, or keep for when there is room; False when the helper is gone or too far behind."""
        if child.channel is None:
            return False
        sent = child.channel.send(message, fd)
        self._watch(name, child.channel)
        return sent

    def heard(self, name: str, child: Child) -> None:
        """Go on watching, after what came was read; a helper that only lost its channel is ended."""
        channel = child.channel
        if channel is None:
            return
        if not channel.closed:
            self._watch(name, channel)
            return
        # Its end is told by its pidfd.
        self._selector.unregister(channel.fileno())
        child.channel = None
        channel.close()
        send(child.pidfd, signal.SIGTERM)

    def close(self, child: Child) -> None:
        """Watch a helper that has ended no more."""
        if child.channel is not None:
            self._selector.unregister(child.channel.fileno())
        self._selector.unregister(child.pidfd)

    def _watch(self, name: str, channel: Lines) -> None:
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if channel.pending() else 0)
        if self._selector.get_key(channel.fileno()).events != wanted:
            self._selector.modify(channel.fileno(), wanted, ("channel", name))
