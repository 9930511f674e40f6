"""Script calls of a program that makes one at a time, each on an idle link of this process.

redis-py's own pool and hooks cost as much of the caller's time as the call they carry. Invariant: a
link is in one hand at a time, never crosses a fork, and does not come back after an error. Called
by client/producer.py, from any number of threads.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable

from jobd.broker.commands import Command
from jobd.broker.connection import Client, Reply
from jobd.broker.link import Link


class Calls:
    """The idle links of one process to one server: as many as there ever were calls at once."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._idle: deque[Link] = deque()
        self._pid = os.getpid()

    def run(self, command: Command) -> Reply:
        """Carry out one script call. Raises BrokerError and its kinds."""
        link = self._take()
        try:
            reply = link.call(command)
        except BaseException:  # also an interrupt: a reply may still be on its way
            link.close()
            raise
        self._idle.append(link)
        return reply

    def begin(
        self, commands: list[Command], replies: list[Reply] | None = None
    ) -> Callable[[], list[Reply]]:
        """Send script calls; what is given back waits for their replies, all of one round trip.

        In between the caller does something else. Both raise BrokerError and its kinds. `replies` is as
        for `Link.collect`.
        """
        link = self._take()
        try:
            link.send(commands)
        except BaseException:
            link.close()
            raise

        def land() -> list[Reply]:
            try:
                found = link.collect(commands, replies)
            except BaseException:
                link.close()
                raise
            self._idle.append(link)
            return found

        return land

    def _take(self) -> Link:
        """Take the link that was used last, so that those of a rush hour are left to time out."""
        if self._pid != os.getpid():
            # The parent's sockets: two processes on one of them would read each other's replies.
            self._idle, self._pid = deque(), os.getpid()
        while True:
            try:
                link = self._idle.pop()
            except IndexError:
                return Link(self._client)
            if not link.is_stale():
                return link
            link.close()
