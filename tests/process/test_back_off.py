"""A back-off function is the application's code: what it does to its process is its job's affair."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest
from support.commands import Place
from support.servers import eventually

from jobd import Jobd

pytestmark = pytest.mark.process

APP = """
import os, time
from jobd import Jobd
app = Jobd()
q = app.queue("q")

def ends_its_process(failures: int) -> float:
    os._exit(3)

def hangs(failures: int) -> float:
    time.sleep(600)

@q.task(attempts=9, max_crashes=2, backoff=ends_its_process)
def exits() -> None:
    raise ValueError("no")

@q.task(attempts=2, timeout="500ms", backoff=hangs)
def stands_still() -> None:
    raise ValueError("no")

@q.task(max_crashes=5)
def poison() -> None:
    os._exit(3)

@q.task()
def double(n: int) -> int:
    return 2 * n
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, own_server: str) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("place"), own_server, app=APP)
    made.start("run")
    yield made
    made.end()


def test_a_function_that_ends_or_hangs_its_process_is_blamed_on_its_job(
    place: Place, own_server: str
) -> None:
    """Crashes have their limit and hanging is a timeout, also while a timeout is judged: nothing
    goes round for ever, nothing is lost, and the queue goes on."""
    queue = Jobd(own_server).queue("q")
    exits, stands_still = queue.add("exits"), queue.add("stands_still")
    eventually(lambda: exits.state() == stands_still.state() == "dead")
    crashed, hung = exits.info(), stands_still.info()

    assert crashed is not None
    assert (crashed.cause, crashed.crashes, crashed.failed) == ("poison", 2, 0)
    assert hung is not None
    assert (hung.cause, hung.timeouts, hung.crashes) == ("timeout", 2, 0)
    assert queue.add("double", {"n": 4}).result("60s") == 8


def test_a_few_poison_jobs_at_the_head_do_not_keep_others_from_their_turn(
    place: Place, own_server: str
) -> None:
    """With one process, and more crashes allowed than a queue may have in a row: a second crash sends
    a job to the end of the line, and the queue is not given up before the others have run."""
    queue = Jobd(own_server).queue("q")
    # In one step: heads that were alone in the line for a while would have nobody to stand behind.
    line = [("poison", {})] * 3 + [("double", {"n": n}) for n in range(20)]
    jobs = list(queue.add_many(line))
    heads, behind = jobs[:3], jobs[3:]
    assert [job.result("60s") for job in behind] == [2 * n for n in range(20)]
    served = max(job.info().finished_at or 0 for job in behind)  # type: ignore[union-attr]
    # What came later does not count: heads go on, and nobody knows how late this is read.
    for job in heads:
        info = job.info()
        assert info is not None
        assert 1 <= sum(run["at"] <= served for run in info.history) <= 3
    told = [datetime.fromisoformat(event["ts"]) for event in place.events("queue.gave_up")]
    assert all(at.timestamp() * 1000 > served for at in told)
