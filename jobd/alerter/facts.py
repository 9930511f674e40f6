"""Facts for the rules whose turn it is: only what they ask for is read.

Called by jobd.alerter.shared, in its thread.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobd.broker.alert_facts import QueueReader, store_facts
from jobd.broker.connection import Client
from jobd.broker.hosts import hosts
from jobd.broker.views import Views
from jobd.core.alerts.facts import Facts, QueueFacts
from jobd.core.alerts.kinds import KINDS
from jobd.core.config_alerts import RuleConfig
from jobd.core.errors import NotPermitted


class Gatherer:
    """Gathers facts of one namespace."""

    def __init__(self, client: Client, namespace: str, *, keeps_nothing: bool) -> None:
        self._client = client
        self._namespace = namespace
        self._keeps_nothing = keeps_nothing
        self._views = Views(client, namespace)
        self._queues = QueueReader(client, namespace)

    def gather(self, rules: Sequence[RuleConfig], at_ms: int, reset_ms: int | None) -> Facts:
        """Look at `at_ms` (Redis' clock); `reset_ms` is when the store began anew. Raises BrokerError."""
        needs = {need for rule in rules for need in KINDS[rule.kind].needs}
        queues = self._look_at_queues(rules, at_ms) if "queues" in needs else None
        found = hosts(self._client, self._namespace) if "hosts" in needs else None
        store = None
        if "store" in needs:
            reset_ago = None if reset_ms is None else max(0.0, (at_ms - reset_ms) / 1000)
            try:
                store = store_facts(
                    self._client, keeps_nothing=self._keeps_nothing, reset_ago=reset_ago
                )
            except NotPermitted:  # then nothing is known of it
                store = None
        return Facts(at_ms=at_ms, queues=queues, hosts=found, store=store)

    def _look_at_queues(self, rules: Sequence[RuleConfig], at_ms: int) -> dict[str, QueueFacts]:
        about = [rule for rule in rules if "queues" in KINDS[rule.kind].needs]
        details = {KINDS[rule.kind].detail for rule in about}
        windows = [rule.window or 0.0 for rule in about if KINDS[rule.kind].detail == "minutes"]
        names = {rule.queue for rule in about if rule.queue is not None}
        if any(rule.queue is None for rule in about):
            names |= set(self._views.queues())
        return self._queues.read(
            sorted(names),
            at_ms,
            minutes=round(max(windows, default=0.0) // 60),
            died_within={rule.window or 0.0 for rule in about if KINDS[rule.kind].detail == "died"},
            schedules="schedules" in details,
            interrupted="interrupted" in details,
        )
