"""Duty: the fleet knows how this host is, through one field of `jobd:hosts`, every few seconds.

What is said is what `jobd status` reads here: state.json and the scoreboard. It is said rarely and
costs a busy host nothing: an idle daemon writes one field each period, whatever it has of workers.
Called by jobd.keeper.loop.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from jobd.broker import hosts
from jobd.broker.connection import Client
from jobd.core.errors import StoreFull
from jobd.core.portrait import bounded
from jobd.keeper.past import Past
from jobd.seams.clock import wall_ms
from jobd.seams.place import key_of
from jobd.seams.portrait import StateUnreadable, look

EVERY = 5.0


class Speaker:
    """Says how one daemon is. `say` when it is due, `unsay` at the end."""

    def __init__(self, client: Client, namespace: str, runtime_dir: Path) -> None:
        self._client = client
        self._namespace = namespace
        self._runtime_dir = runtime_dir
        self._key = key_of(runtime_dir)
        self._due = 0.0
        self._past: Past | None = None

    def work(self, now: float) -> None:
        """Say it, if it is time. Raises BrokerError."""
        if now < self._due:
            return
        self._due = now + EVERY
        try:
            daemon = look(self._runtime_dir)
        except StateUnreadable:
            return  # a reader of the same version finds the same: `jobd status` on this host says why
        if daemon is None:
            return
        past = self._remembered(now)
        past.note(daemon, now)
        daemon = msgspec.structs.replace(past.told(bounded(daemon)), answers="yes")
        try:
            hosts.say(self._client, self._namespace, self._key, daemon, wall_ms=wall_ms())
        except StoreFull:
            return  # what matters of that, the jobs that are refused, is said by those who add them

    def _remembered(self, now: float) -> Past:
        """Go on from what was said last: by the keeper before this one, perhaps."""
        if self._past is None:
            said = hosts.host(self._client, self._namespace, self._key)
            daemon = None if said is None else said.daemon
            self._past = Past([] if daemon is None else daemon.workers, now)
        return self._past

    def unsay(self) -> None:
        """Take it back: the daemon ends in order. Raises BrokerError."""
        hosts.unsay(self._client, self._namespace, self._key)
