"""Two daemons: on one runtime directory the second refuses, on two they share the work."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.daemons import eventually
from support.started import Started

from jobd import Jobd

pytestmark = pytest.mark.process

APP = """
import os, time
from jobd import Jobd
while os.path.exists("gate"):
    time.sleep(0.01)
app = Jobd()
q = app.queue("q")

@q.task()
def whose() -> int:
    time.sleep(0.02)
    return os.getpid()
"""

Start = Callable[..., Started]


@pytest.fixture
def start(tmp_path: Path, redis_url: str) -> Iterator[Start]:
    made: list[Started] = []

    def one(name: str, runtime: Path | None = None, drain: int = 10) -> Started:
        made.append(Started(tmp_path / name, redis_url, APP, runtime=runtime, drain=drain))
        return made[-1]

    yield one
    for each in made:
        each.end()


def test_the_second_on_a_directory_refuses_and_names_the_first(
    start: Start, tmp_path: Path
) -> None:
    """Also while the first is still starting; what a dead one has left in its place says nothing."""
    shared = tmp_path / "run"
    shared.mkdir(mode=0o700)
    (shared / "lock").write_text("1\n")  # a leftover: pid 1 lives, and holds nothing
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "gate").touch()
    first = start("first", shared)
    eventually("it holds the lock", lambda: (shared / "lock").read_text() != "1\n")
    second = start("second", shared)
    assert second.ended() == 69, "while the first imports"
    assert f"held by the daemon with pid {first.process.pid}" in second.log.read_text()
    (tmp_path / "first" / "gate").unlink()
    first.ready()
    third = start("third", shared)
    assert third.ended() == 69, "while the first works"
    assert not third.said("daemon.started")
    assert f"pid {first.process.pid}; expected to be free" in third.log.read_text()

    first.process.kill()
    first.process.wait()
    start("fourth", shared).ready()


def test_of_two_that_start_at_once_one_runs_with_its_own_settings(
    start: Start, tmp_path: Path
) -> None:
    """The command that checks the file becomes the daemon, and lets go of the lock at no moment."""
    runs = {drain: start(f"run-{drain}", tmp_path / "run", drain) for drain in (7, 8)}

    def refused() -> list[int]:
        return [drain for drain, run in runs.items() if run.process.poll() is not None]

    [loser] = eventually("one is refused", refused)
    [winner] = runs.keys() - {loser}
    assert runs[loser].process.returncode == 69
    runs[winner].ready()
    runs[winner].signal(signal.SIGTERM)
    assert runs[winner].ended() == 0
    assert [event["grace"] for event in runs[winner].said("daemon.draining")] == [winner]


def test_two_hosts_share_the_work(start: Start, redis_url: str) -> None:
    """Each job runs once, on either; and when one stops, the other has all."""
    one, two = start("one"), start("two")
    one.ready()
    two.ready()
    queue = Jobd(redis_url).queue("q")
    by_host = [{view.pid for view in run.pages()} for run in (one, two)]
    ran: list[int] = []

    def both() -> bool:
        """Have some more jobs run; one host may have no core for a while."""
        ran.extend(job.result("60s") for job in [queue.add("whose") for _ in range(20)])
        return all(pids.intersection(ran) for pids in by_host)

    eventually("both have run some", both)
    assert {info for pids in by_host for info in pids}.issuperset(ran)

    one.signal(signal.SIGTERM)
    assert one.ended() == 0
    rest = {job.result("60s") for job in [queue.add("whose") for _ in range(10)]}
    assert rest <= by_host[1]
