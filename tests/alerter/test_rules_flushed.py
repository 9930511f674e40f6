"""Stores that are flushed at any moment, receivers that refuse, alerters that are killed: in turn even so."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from support.alerters import Alerter
from support.hooks import Receiver, receiver

from jobd import Jobd
from jobd.broker.connection import connect
from jobd.broker.store import register_queues

pytestmark = [pytest.mark.process, pytest.mark.chaos]

ROUNDS = 40


def believes(hook: Receiver) -> tuple[bool, int, int]:
    """Whether the receiver thinks that it fires, by what came first under each id; ends of what was none,
    and firings of what fired."""
    seen: set[str] = set()
    fires, baseless, twice = False, 0, 0
    for note_id, note in zip(list(hook.ids), hook.notes(), strict=False):
        if note_id in seen:
            continue
        seen.add(note_id)
        baseless += note["status"] == "resolved" and not fires
        twice += note["status"] == "firing" and fires
        fires = note["status"] == "firing"
    return fires, baseless, twice


@pytest.mark.parametrize("hosts", [1, 2])
@pytest.mark.timeout(900)
def test_a_flush_at_any_moment_leaves_nobody_with_what_is_over(
    tmp_path: Path, redis_url: str, hosts: int
) -> None:
    """Never an end without a firing; what the receiver thinks at last is so. A firing may come twice when
    the flush follows upon it at once."""
    seed = random.randrange(10**6)
    dice, client, app = random.Random(seed), connect(redis_url), Jobd(redis_url)
    flushes = 0
    with receiver() as hook:
        alerters = [Alerter(tmp_path / str(n), redis_url, hook, queues=["a"]) for n in range(hosts)]
        try:
            for turn in range(ROUNDS):
                hook.refuses = dice.random() < 0.4
                if dice.random() < 0.7:
                    register_queues(client, "jobd", ["a"])
                    app.queue("a").add_many([("x", {})] * 3)
                else:
                    client.delete("jobd:{a}:waiting")
                time.sleep(dice.uniform(0.0, 1.0))
                if dice.random() < 0.6:
                    client.flushall()
                    register_queues(client, "jobd", ["a"])
                    flushes += 1
                    time.sleep(dice.uniform(0.0, 0.5))
                hook.refuses = False
                if turn % 4 == 3:
                    end = time.monotonic() + 120
                    while believes(hook)[0] != bool(client.exists("jobd:{a}:waiting")):
                        assert time.monotonic() < end, (seed, hook.notes()[-6:])
                        time.sleep(0.02)
        finally:
            for alerter in alerters:
                alerter.kill()
            client.close()
    _, baseless, twice = believes(hook)
    print(
        f"seed {seed}: {hosts} hosts, {flushes} flushes, {len(set(hook.ids))} notes, {twice} twice"
    )
    assert baseless == 0, seed
    assert twice <= flushes, seed
