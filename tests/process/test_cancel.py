"""Cancelling what runs in a real daemon: told within a second, or ended with its process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.commands import Place
from support.servers import eventually

from jobd import JobCancelled, Jobd, JobHandle

pytestmark = pytest.mark.process

APP = """
import time
from pathlib import Path
from jobd import Job, Jobd

app = Jobd()
q = app.queue("q", attempts=3)

@q.task()
def listens(job: Job, path: str) -> None:
    Path(path).touch()
    while not job.cancelled:
        time.sleep(0.01)

@q.task()
def deaf(path: str) -> None:
    with open(path, "a") as file:
        file.write("started\\n")
    while True:
        time.sleep(60)

@q.task()
def quick() -> int:
    return 1
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, own_server: str) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("place"), own_server, app=APP)
    made.start("run")
    made.ready()
    yield made
    made.end()


def started(own_server: str, task: str, path: Path) -> JobHandle:
    handle = Jobd(own_server).queue("q").add(task, {"path": str(path)})
    eventually(path.exists)
    return handle


def test_a_running_task_is_told(place: Place, own_server: str, tmp_path: Path) -> None:
    """From the producer through Redis, the keeper and the page to the task."""
    handle = started(own_server, "listens", tmp_path / "runs")

    assert handle.cancel() == "asked"
    with pytest.raises(JobCancelled):
        handle.result("60s")
    assert not [kill for kill in place.events("worker.killed") if handle.id in kill["jobs"]]


def test_by_force_the_process_ends_and_the_job_never_runs_again(
    place: Place, own_server: str, tmp_path: Path
) -> None:
    """Whatever the task does; the worker is replaced and is not to blame."""
    handle = started(own_server, "deaf", tmp_path / "runs")

    assert handle.cancel(force=True) == "asked"
    with pytest.raises(JobCancelled):
        handle.result("60s")
    assert Jobd(own_server).queue("q").add("quick").result("60s") == 1
    info = handle.info()
    assert info is not None
    assert (info.crashes, info.timeouts, info.interrupted) == (0, 0, 1)
    assert [run["kind"] for run in info.history] == ["cancelled"]
    assert (tmp_path / "runs").read_text() == "started\n"
    [died] = place.events("worker.died")
    assert (died["cause"], died["jobs"], died["restart_in"]) == ("cancelled", [handle.id], 0)
