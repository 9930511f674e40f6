"""Both outboxes beside a small model, over random lives: who is told what, when, and in which order."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.notes import AT, a_note

from jobd.broker.alert_outbox import RedisOutbox
from jobd.broker.connection import Client, connect
from jobd.core.alerts.delivery import LEASE, Delivery
from jobd.seams.alert_outbox import FileOutbox

SINKS = ("ops", "pager")
RULES = ("a", "b")


@dataclass
class Pending:
    """One delivery, as the model has it."""

    id: str
    sink: str
    rule: str
    since: float
    due: float
    tries: int = 0


@dataclass
class Model:
    """What an outbox is meant to be: a list, oldest first."""

    at: float = 0.0
    left: list[Pending] = field(default_factory=list)

    def take(self, sinks: list[str]) -> list[tuple[str, str, int, float]]:
        taken = []
        lines = set()
        for each in self.left:
            line = (each.sink, each.rule)
            if each.sink in sinks and line not in lines and each.due <= self.at:
                each.tries += 1
                each.due = self.at + LEASE
                taken.append((each.id, each.sink, each.tries, self.at - each.since))
            lines.add(line)
        return sorted(taken)

    def find(self, delivery: Delivery) -> Pending | None:
        return next((p for p in self.left if (p.id, p.sink) == (delivery.id, delivery.sink)), None)


ALL = [*SINKS, "unknown"]
ADD = st.tuples(st.just("add"), st.sampled_from(RULES), st.sets(st.sampled_from(SINKS), min_size=1))
TAKE = st.tuples(st.just("take"), st.sampled_from([ALL, ALL, ["ops"], ["unknown"]]))
END = st.tuples(st.sampled_from(["done", "give_up"]), st.integers(0, 9))
AGAIN = st.tuples(st.just("again"), st.integers(0, 9), st.sampled_from([0, 5, 200]))
LATER = st.tuples(st.just("later"), st.sampled_from([1, 5, LEASE, LEASE]))
NOBODY = st.tuples(st.just("add"), st.sampled_from(RULES), st.just(set()))
RESTART = st.tuples(st.just("restart"))
STEPS = st.lists(
    st.one_of(ADD, ADD, TAKE, TAKE, TAKE, END, AGAIN, LATER, NOBODY, RESTART),
    min_size=20, max_size=60,
)  # fmt: skip


@given(steps=STEPS)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_both_outboxes_do_what_the_model_does(redis_url: str, steps: list[Any]) -> None:
    client = connect(redis_url)
    client.flushall()
    with tempfile.TemporaryDirectory() as directory:
        play(client, Path(directory) / "outbox.json", steps)
    client.close()


class Life:
    """One life of both outboxes, and of the model."""

    def __init__(self, client: Client, path: Path) -> None:
        self.model, self.redis, self.path = Model(), RedisOutbox(client, "t", now=AT), path
        self.file = self.opened()
        self.held: list[tuple[Delivery, Delivery]] = []
        self.added = 0

    def opened(self) -> FileOutbox:
        return FileOutbox(
            self.path, emit=lambda event: None, mono=lambda: self.model.at,
            now_ms=lambda: AT + round(self.model.at * 1000),
        )  # fmt: skip

    @property
    def boxes(self) -> tuple[Any, Any]:
        return self.redis, self.file

    def add(self, rule: str, sinks: set[str]) -> None:
        self.added += 1
        note, at = a_note(self.added, rule=rule), self.model.at
        for box in self.boxes:
            assert box.add(note, sorted(sinks)) == 0
        self.model.left += [Pending(note.id, sink, rule, at, at) for sink in sorted(sinks)]

    def take(self, sinks: list[str]) -> None:
        expected = self.model.take(sinks)
        both = [sorted(box.take(sinks, 99), key=lambda d: (d.id, d.sink)) for box in self.boxes]
        for taken in both:
            assert [(d.id, d.sink, d.tries, d.waited) for d in taken] == expected
        self.held += zip(*both, strict=True)

    def end(self, how: str, n: int) -> None:
        for box, delivery in zip(self.boxes, self.held[n % len(self.held)], strict=True):
            getattr(box, how)(delivery)
        found = self.model.find(self.held[n % len(self.held)][0])
        self.model.left = [each for each in self.model.left if each is not found]

    def again(self, n: int, delay: float) -> None:
        pair = self.held[n % len(self.held)]
        for box, delivery in zip(self.boxes, pair, strict=True):
            box.again(delivery, delay)
        found = self.model.find(pair[0])
        if found is not None and found.tries == pair[0].tries:
            found.due = self.model.at + delay

    def later(self, span: float) -> None:
        self.model.at += span
        self.redis.now = AT + round(self.model.at * 1000)

    def restart(self) -> None:
        """It forgets leases, and tries that nobody reported: gone over to only where there are none."""
        again = self.opened()
        assert len(again) == len(self.file)
        if all(not each.tries for each in self.model.left):
            self.file = again


def play(client: Client, path: Path, steps: list[Any]) -> None:
    life = Life(client, path)
    for name, *values in steps:
        if name in ("done", "give_up"):
            if life.held:
                life.end(name, *values)
        elif name != "again" or life.held:
            getattr(life, name)(*values)
        left = life.model.left
        assert life.redis.counts()["waiting"] == len(left)
        assert len(life.file) == len({each.id for each in left})
        assert client.hlen("t:{:alerts}:notes") == len(life.file)
        assert client.exists("t:{:alerts}:due") == bool(left)
        assert len(client.keys("t:{:alerts}:line:*")) == len({(p.sink, p.rule) for p in left})
