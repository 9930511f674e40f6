"""Evaluators of alert rules against a real server, looked with by hand: tests/alerter/test_rules_*."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import msgspec

from jobd.alerter.charge import Identity
from jobd.alerter.facts import Gatherer
from jobd.alerter.memory import Memory
from jobd.alerter.shared import Known, Shared
from jobd.alerter.sight import Sight
from jobd.broker.alert_loads import LoadStore
from jobd.broker.alert_outbox import RedisOutbox
from jobd.broker.alerts import FORGOTTEN_MS, AlertStore
from jobd.broker.connection import Client
from jobd.broker.keys import SharedKeys
from jobd.broker.store import register_queues
from jobd.client.app import Jobd
from jobd.core.alerts.machine import Spans
from jobd.core.alerts.notification import Notification
from jobd.core.config import load
from jobd.core.config_alerts import RuleConfig
from jobd.core.events import Event

KEYS = SharedKeys("jobd")
RULES = """
[alerts]
builtin = false
[[alerts.sinks]]
kind = "webhook"
url = "https://a/b"
"""


def rules(*kinds: str) -> list[RuleConfig]:
    above = {"backlog": 3, "latency": "'1h'", "stuck": "'1h'", "memory": "'1GB'"}
    lines = [
        f"[[alerts.rules]]\nkind = '{kind}'\n"
        + (f"above = {above[kind]}\n" if kind in above else "")
        for kind in kinds
    ]
    return load(RULES + "\n".join(lines), "f").alerts.rules


class Host:
    """One evaluator, looked with by hand. Its turns are over at once."""

    def __init__(
        self,
        client: Client,
        *kinds: str,
        epoch: str = "",
        sinks: Sequence[str] = ("webhook",),
        clear_for: int = 0,
        of: Sequence[RuleConfig] | None = None,
        owner: str = "",
        age: float = 0.0,
    ) -> None:
        owner = owner or secrets.token_hex(4)
        self.events: list[Event] = []
        self.client = client
        self.sight = Sight(silent_after=60.0)
        self.memory = Memory()
        self.shared = Shared(
            rules(*kinds) if of is None else of, store=AlertStore(client, "jobd"),
            loads=LoadStore(client, "jobd"), me=Identity(owner=owner, host="h" + owner, age=age),
            gatherer=Gatherer(client, "jobd", keeps_nothing=True), namespace="jobd",
            sinks=sinks, every=0.002, spans=Spans(clear_for=clear_for, gap=60_000), sight=self.sight,
            known=Known(epoch=epoch), memory=self.memory, emit=self.events.append, on_told=lambda: None,
        )  # fmt: skip

    def look(self) -> None:
        for key in self.client.scan_iter(KEYS.alert_turn_prefix + "*"):
            self.client.delete(key)
        self.shared.look()

    def told(self, sink: str = "webhook") -> list[Notification]:
        box = RedisOutbox(self.client, "jobd")
        found = []
        while taken := box.take([sink]):
            for each in taken:
                assert each.notification is not None
                found.append(each.notification)
                self.memory.sent(each.id, sink)
                box.done(each)
        return found


def overfull(client: Client, redis_url: str) -> None:
    """Make a queue that the rule is about."""
    register_queues(client, "jobd", ["q"])
    Jobd(redis_url).queue("q").add_many([("x", {})] * 4)


def grow_old(client: Client, rule: str) -> None:
    """Let a rule's state be one that nobody has looked at for long."""
    state = AlertStore(client, "jobd").states()[rule].state
    old = msgspec.structs.replace(state, looked_ms=state.looked_ms - FORGOTTEN_MS - 1)
    client.hset(KEYS.alert_states, rule, msgspec.json.encode(old))
