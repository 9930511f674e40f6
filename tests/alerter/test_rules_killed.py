"""Alerters that are killed at any moment: each transition is told, in its turn, under one id."""

from __future__ import annotations

import random
import time
from itertools import pairwise
from pathlib import Path

import pytest
from support.alerters import Alerter
from support.daemons import eventually
from support.hooks import receiver

from jobd import Jobd
from jobd.broker import alerts
from jobd.broker.connection import connect
from jobd.broker.store import register_queues

pytestmark = [pytest.mark.process, pytest.mark.chaos]

HOSTS = 3
ROUNDS = 12


@pytest.mark.timeout(900)
def test_whoever_is_killed_each_transition_is_told(tmp_path: Path, redis_url: str) -> None:
    """Some have the turn just then, some are in the middle of telling."""
    seed = random.randrange(10**6)
    dice, client, app = random.Random(seed), connect(redis_url), Jobd(redis_url)
    register_queues(client, "jobd", ["a", "b"])
    kills = 0
    with receiver() as hook:
        hosts = [Alerter(tmp_path / str(n), redis_url, hook) for n in range(HOSTS)]
        try:
            eventually("they look", lambda: len(alerts.states(client, "jobd")) == 2, within=60)

            def until(queue: str, status: str) -> None:
                """Wait, and kill one of them now and then."""
                nonlocal kills
                end, due = time.monotonic() + 200, 0.0
                while hook.told(f"{queue} backlog")[-1:] != [status]:
                    assert time.monotonic() < end, (
                        seed,
                        queue,
                        status,
                        hook.told(f"{queue} backlog"),
                    )
                    if time.monotonic() >= due:
                        due = time.monotonic() + dice.uniform(0.1, 2.5)
                        host = dice.choice(hosts)
                        host.kill()
                        host.start()
                        kills += 1
                    time.sleep(0.01)

            for _ in range(ROUNDS):
                queue = dice.choice("ab")
                app.queue(queue).add_many([("x", {})] * 3)
                until(queue, "firing")
                client.delete(f"jobd:{{{queue}}}:waiting")
                until(queue, "resolved")
        finally:
            for host in hosts:
                host.kill()
            client.close()
    seen: dict[str, str] = {}
    order: dict[str, list[str]] = {}
    for note_id, note in zip(hook.ids, hook.notes(), strict=True):
        if note_id not in seen:
            order.setdefault(note["rule"], []).append(note["status"])
        seen[note_id] = note["status"]
    print(f"seed {seed}: {kills} kills, {len(seen)} notifications, {len(hook.ids)} deliveries")
    assert len(seen) == 2 * ROUNDS
    for told in order.values():
        assert told[0] == "firing"
        assert all(a != b for a, b in pairwise(told))
