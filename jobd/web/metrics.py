"""What Prometheus is told: everything, read anew at each scrape, where it is kept.

Nothing is counted in this process, so it may end at any time. What of it comes from Redis is left out
while Redis does not answer, and `jobd_redis_up` is 0; what is of this host is served all the same.
Which metrics there are: jobd.web.metrics_table. That scrapes do not pile up is seen to in jobd.web.app.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import CollectorRegistry

from jobd import __version__
from jobd.broker.connection import Client
from jobd.broker.metrics import MOST_TASKS, StoreFigures, read_figures
from jobd.core.errors import BrokerError
from jobd.seams.portrait import StateUnreadable, look
from jobd.web.metrics_host import add_daemon
from jobd.web.metrics_queues import add_alerts, add_store
from jobd.web.metrics_table import Page

CONTENT_TYPE = choose_encoder("")[1]
"""Of what `exposition` gives: the text format that everything reads."""

Firing = Callable[[], Mapping[str, int]]
"""Says how often each alert rule fires. Raises BrokerError."""


def no_alerts() -> Mapping[str, int]:
    """Where there are no rules nothing fires."""
    return {}


class Metrics:
    """Reads and spells them. Any thread may ask; nothing is asked of Redis before that.

    `client` should give up within a second or two: a scrape waits for one of its time-outs, at most.
    `firing` says what of the alerts stands in Redis, `firing_here` what this host found by itself.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        runtime_dir: Path,
        *,
        firing: Firing = no_alerts,
        firing_here: Firing = no_alerts,
        most_tasks: int = MOST_TASKS,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._runtime_dir = runtime_dir
        self._firing = firing
        self._firing_here = firing_here
        self._most_tasks = most_tasks

    def exposition(self) -> bytes:
        """Scrape now, and give the text format. Blocks while Redis is asked."""
        return self.answer("")[0]

    def answer(self, accept: str) -> tuple[bytes, str]:
        """Scrape now; give the body and its content type, as an Accept header asks: OpenMetrics too."""
        encode, content_type = choose_encoder(accept)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self._read())
        return encode(registry), content_type

    def _read(self) -> Page:
        page = Page()
        page.add("jobd_build_info", (__version__,), 1)
        store, firing = self._ask_redis()
        page.add("jobd_redis_up", (), store is not None)
        if store is not None:
            add_store(page, store)
        add_alerts(page, {**firing, **self._firing_here()})
        try:
            add_daemon(page, look(self._runtime_dir))
        except StateUnreadable:  # said by jobd_daemon_up
            add_daemon(page, None)
        return page

    def _ask_redis(self) -> tuple[StoreFigures | None, Mapping[str, int]]:
        try:
            store = read_figures(self._client, self._namespace, most_tasks=self._most_tasks)
            return store, self._firing()
        except BrokerError:  # said by jobd_redis_up
            return None, {}
