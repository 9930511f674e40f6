"""What the endpoints work with: one Redis, one namespace, this host's daemon, the bulk operations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jobd.broker.alerts import AlertStore
from jobd.broker.browse import Browser
from jobd.broker.connection import Client
from jobd.broker.schedules import ScheduleStore
from jobd.broker.store import Store
from jobd.broker.views import Views
from jobd.core.config_alerts import RuleConfig
from jobd.core.masking import Masking
from jobd.core.suggest import nearest, one_of
from jobd.seams import alertfile
from jobd.seams.alertfile import LocalAlerts
from jobd.seams.place import key_of
from jobd.web.api.operations import Operations
from jobd.web.api.problems import NoSuchQueue


class House(NamedTuple):
    """All of it may be used from several threads. There is one Browser, which knows the last minutes.

    `rules` are those of this host's configuration. `runtime_dir` is its daemon's; None: no daemon belongs
    to who serves this, as where an application has mounted it. `mask` says what
    of payloads is not shown (`shown`). `sinks` are the names of those that alerts are told to; None: nobody
    here knows.
    """

    client: Client
    namespace: str
    browser: Browser
    runtime_dir: Path | None
    rules: Sequence[RuleConfig]
    operations: Operations
    mask: Masking = Masking()
    sinks: Sequence[str] | None = None

    @property
    def here(self) -> str | None:
        """The key of the host whose daemon serves this; None where none does."""
        return None if self.runtime_dir is None else key_of(self.runtime_dir)

    def views(self) -> Views:
        """Read queues and jobs."""
        return Views(self.client, self.namespace)

    def store(self, queue: str) -> Store:
        """Change a queue that is known. Raises NoSuchQueue, BrokerError."""
        return Store(self.client, self.namespace, self.known(queue))

    def schedules(self, queue: str) -> ScheduleStore:
        """Change the schedules of a queue that is known. Raises NoSuchQueue, BrokerError."""
        return ScheduleStore(self.client, self.namespace, self.known(queue))

    def alerts(self) -> AlertStore:
        """Read and mute alerts."""
        return AlertStore(self.client, self.namespace)

    def own_alerts(self) -> LocalAlerts:
        """Read the alerts that this host has for itself; nothing where no daemon belongs to it."""
        return LocalAlerts() if self.runtime_dir is None else alertfile.read(self.runtime_dir)

    def own_mutes(self) -> dict[str, int]:
        """Read which rules are muted on this host alone, and until when (ms since 1970)."""
        return {} if self.runtime_dir is None else alertfile.read_mutes(self.runtime_dir)

    def known(self, queue: str) -> str:
        """Give the name if there is such a queue. Raises NoSuchQueue, BrokerError."""
        known = self.views().queues()
        if queue not in known:
            there = (
                f"one of {one_of(known)}{nearest(queue, known)}" if known else "one: there is none"
            )
            raise NoSuchQueue(f"queue {queue!r}: not known; expected {there}")
        return queue
