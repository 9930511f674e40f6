"""Locks under a real daemon whose workers are killed: one run at a time, and nothing stuck after it."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.daemons import Daemon, eventually, kill

from jobd import Jobd
from jobd.core.config import QueueConfig

pytestmark = pytest.mark.process

# The kernel's lock on a file ends with its process, however it ends: it sees what jobd cannot fake.
APP = """
import fcntl, os, time
from jobd import Fixed, Jobd, Unique

app = Jobd()
q = app.queue("q", attempts=50, max_crashes=100, backoff=Fixed("10ms"))

@q.task(unique=Unique(by="key"))
def guarded(key: int, top: str, fails: bool) -> None:
    with open(f"{top}/key-{key}", "w") as file, open(f"{top}/log", "a") as log:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.write("overlap\\n")
            return
        log.write("ran\\n")
        log.flush()
        time.sleep(0.02)
        if fails and os.urandom(1)[0] < 128:
            raise RuntimeError("once more")
"""


@pytest.fixture
def daemon(tmp_path: Path, redis_url: str) -> Iterator[Daemon]:
    made = Daemon(tmp_path, redis_url, APP, queues={"q": QueueConfig(processes=3)})
    yield made
    made.end()


def test_no_two_run_at_once_and_no_key_is_stuck(
    daemon: Daemon, redis_url: str, tmp_path: Path
) -> None:
    """Workers are killed, runs fail, four threads add: of one key there is one run at a time."""
    daemon.running(3)
    app, rng = Jobd(redis_url), random.Random(7)
    queue = app.queue("q")
    killed, told = 0, []
    over = threading.Event()

    def add(seed: int) -> None:
        mine = random.Random(seed)
        while not over.is_set():
            args = {"key": mine.randrange(3), "top": str(tmp_path), "fails": mine.random() < 0.3}
            told.append(queue.add("guarded", args, unique={"by": "key"}))
            over.wait(0.002)  # enough for a line of each key, and the daemon gets a core too

    views = app.producer.views()
    adders = [threading.Thread(target=add, args=(seed,)) for seed in range(4)]
    for adder in adders:
        adder.start()
    try:
        while killed < 12:
            victim = rng.choice(eventually("a running worker", lambda: running(daemon)))
            kill(victim)
            killed += 1
            eventually("its end", lambda pid=victim: pid not in running(daemon))
            # A queue whose workers only die is given up: this one's do run jobs in between.
            done = views.counts("q")["completed"]
            eventually("more", lambda done=done: views.counts("q")["completed"] > done + 2)
    finally:
        over.set()
        for adder in adders:
            adder.join()
    eventually("a drained queue", lambda: drained(views.counts("q")))

    log = (tmp_path / "log").read_text().split()
    added = {handle.id for handle in told if handle.outcome == "enqueued"}
    assert "overlap" not in log
    assert len(log) >= len(added) > 0
    assert {handle.id for handle in told} == added
    assert {handle.outcome for handle in told} == {"enqueued", "duplicate"}
    counts = views.counts("q")
    assert counts["completed"] + counts["dead"] == len(added)
    assert app.producer.client.keys("jobd:{q}:unique:*") == []


def running(daemon: Daemon) -> list[int]:
    return [slot.pid for slot in daemon.slots() if slot.phase == "running" and slot.pid]


def drained(counts: dict[str, int]) -> bool:
    return not (counts["waiting"] or counts["delayed"] or counts["active"])
