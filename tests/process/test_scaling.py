"""Processes come and go with the load, by signals and within the host's limit: real daemons."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.daemons import Daemon, eventually

from jobd import Jobd
from jobd.broker.connection import connect
from jobd.broker.views import Views
from jobd.core.config import QueueConfig
from jobd.core.processes import Processes
from jobd.seams import portrait
from jobd.seams.statefile import PoolState

pytestmark = pytest.mark.process

APP = """
import os, time
from jobd import Jobd
app = Jobd()
mail, other = app.queue("mail"), app.queue("other")

def work(path, span):
    with open(path, "a") as file:
        file.write(f"begin {os.getpid()}\\n")
    time.sleep(span)
    with open(path, "a") as file:
        file.write(f"end {os.getpid()}\\n")

def holds(path, gate):
    with open(path, "a") as file:
        file.write(f"begin {os.getpid()}\\n")
    while not os.path.exists(gate):
        time.sleep(0.01)
    with open(path, "a") as file:
        file.write(f"end {os.getpid()}\\n")

mail.task("work")(work)
mail.task("holds")(holds)
other.task("work")(work)
"""

Start = Callable[..., Daemon]


@pytest.fixture
def start(tmp_path: Path, redis_url: str) -> Iterator[Start]:
    made: list[Daemon] = []

    def make(**options: Any) -> Daemon:
        made.append(Daemon(tmp_path, redis_url, APP, **options))
        return made[-1]

    yield make
    for daemon in made:
        daemon.end()


def elastic(most: int, **more: Any) -> QueueConfig:
    return QueueConfig(processes=Processes(min=1, max=most, drain_within=2.0), **more)


def add(redis_url: str, queue: str, path: Path, spans: list[float]) -> None:
    jobs = [("work", {"path": str(path), "span": span}) for span in spans]
    Jobd(redis_url).queue(queue).add_many(jobs)


def lines(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def ended(path: Path) -> int:
    return sum(word == "end" for word, _ in lines(path))


def pool(daemon: Daemon, queue: str) -> PoolState | None:
    state = daemon.state()
    return state.pools.get(queue) if state else None


def events(daemon: Daemon, name: str) -> list[dict[str, Any]]:
    return daemon.said(name)


def numbers(daemon: Daemon, queue: str) -> list[int]:
    return [e["processes"] for e in events(daemon, "queue.scaled") if e["queue"] == queue]


def why(daemon: Daemon, queue: str = "mail") -> str:
    found = pool(daemon, queue)
    return found.why if found else ""


def leavers(daemon: Daemon) -> int:
    state = daemon.state()
    return len(state.leavers) if state else 0


def target(daemon: Daemon, queue: str = "mail") -> int:
    found = pool(daemon, queue)
    return found.target if found else -1


def test_a_burst_makes_four_of_one_and_quiet_makes_one_of_four(
    start: Start, redis_url: str, tmp_path: Path
) -> None:
    """Not while the queue is paused. No job is lost, run twice or cut off; nobody is killed; and each
    step says why."""
    daemon = start(queues={"mail": elastic(4)})
    daemon.running(2)
    out = tmp_path / "out"
    queue = Jobd(redis_url).queue("mail")
    queue.pause(why="for now")
    add(redis_url, "mail", out, [0.1] * 120)
    eventually("it is seen", lambda: why(daemon) == "due 120, paused: more would not help")
    assert target(daemon) == 1
    queue.resume()
    added = 120

    def four() -> bool:
        """Tell whether so many are at work; until then there is enough for them."""
        nonlocal added
        if ended(out) > added - 80:
            add(redis_url, "mail", out, [0.1] * 40)
            added += 40
        return len({pid for _, pid in lines(out)}) == 4

    eventually("four processes", four)
    eventually("all jobs have ended", lambda: ended(out) == added)
    eventually("one process again", lambda: target(daemon) == 1)
    daemon.running(2)  # with the other queue's

    assert len(lines(out)) == 2 * added
    assert not events(daemon, "worker.killed")
    assert not events(daemon, "worker.died")
    assert {e["why"] for e in events(daemon, "worker.stopped")} == {"scaled"}
    assert numbers(daemon, "mail")[-4:] == [4, 3, 2, 1]
    assert max(numbers(daemon, "mail")) == 4
    was = 1
    for event in events(daemon, "queue.scaled"):
        grew = "wanted within 2s" in event["why"] or "all slots busy" in event["why"]
        shrank = "would have done" in event["why"]
        assert (grew, shrank) == (event["processes"] > was, event["processes"] < was), event
        was = event["processes"]
    assert Views(connect(redis_url), "jobd").counts("mail")["completed"] == added


def test_whoever_is_scaled_down_ends_its_job_first(
    start: Start, redis_url: str, tmp_path: Path
) -> None:
    """All are busy, one has to go: it does so when its job is done, and the job runs once."""
    daemon = start(queues={"mail": QueueConfig(processes=2)})
    daemon.running(3)
    out, gate = tmp_path / "out", tmp_path / "gate"
    jobs = [("holds", {"path": str(out), "gate": str(gate)})] * 2
    Jobd(redis_url).queue("mail").add_many(jobs)
    eventually("both run", lambda: len(lines(out)) == 2)
    daemon.signal(signal.SIGTTOU)
    eventually("one is to go", lambda: target(daemon) == 1)
    daemon.signal(signal.SIGTTOU)  # one is left in any case
    eventually("it was told", lambda: leavers(daemon))
    assert not events(daemon, "worker.stopped")
    gate.touch()
    eventually("it has gone", lambda: events(daemon, "worker.stopped"))
    assert ended(out) >= 1
    eventually("both have ended", lambda: ended(out) == 2)
    assert len(lines(out)) == 4
    assert target(daemon) == 1
    assert not events(daemon, "worker.killed")


def test_signals_are_steps_that_a_reload_forgets(start: Start) -> None:
    daemon = start(queues={"mail": QueueConfig(processes=1), "other": elastic(2)})
    daemon.running(2)
    for _ in range(2):
        daemon.signal(signal.SIGTTIN)
        eventually("they are more", lambda: target(daemon, "other") == 2)
    eventually("each has its own bounds", lambda: target(daemon) == 3)
    daemon.running(5)
    shown = portrait.look(daemon.runtime)
    assert shown is not None
    assert shown.queues["mail"].explain.startswith("3 by hand")
    assert shown.queues["other"].explain.startswith("2 by hand")
    daemon.signal(signal.SIGTTOU)
    eventually("they are fewer", lambda: (target(daemon), target(daemon, "other")) == (2, 1))
    daemon.signal(signal.SIGHUP)
    eventually("as configured", lambda: target(daemon) == 1)
    daemon.running(2)
    assert not events(daemon, "worker.died")


def test_a_queue_gets_what_the_host_has_left(start: Start, redis_url: str, tmp_path: Path) -> None:
    """Three in all: the floor of the other queue is kept, and the log says what held it back."""
    daemon = start(queues={"mail": elastic(4), "other": elastic(4)}, max_processes=3)
    daemon.running(2)
    out = tmp_path / "out"
    # More than there is time for: whatever is late here, the queue still wants more than it gets.
    add(redis_url, "mail", out, [0.1] * 2000)
    eventually("it has grown", lambda: target(daemon) == 2)
    eventually("it says why not more", lambda: "max_processes = 3" in why(daemon))
    eventually("it has gone on so", lambda: ended(out) >= 50)
    assert max(numbers(daemon, "mail")) == 2
    assert target(daemon, "other") == 1
