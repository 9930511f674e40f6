"""Schedules of a real daemon: declared by its code and its file, fired, run by its workers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from support.commands import Place
from support.servers import eventually

from jobd import Jobd

pytestmark = pytest.mark.process

APP = """
from jobd import Job, Jobd

app = Jobd()
q = app.queue("q")

@q.every("1s", name="code")
@q.task()
def tick(job: Job) -> str:
    return job.id

@q.cron("0 9 * * *", tz="Europe/Berlin")
def daily() -> None: ...
"""
FILE = """
[[schedules]]
name = "file"
queue = "q"
task = "tick"
every = "1s"
"""


@pytest.fixture(params=["true", "false"])
def place(request: pytest.FixtureRequest, tmp_path: Path, redis_url: str) -> Iterator[Place]:
    """With the code imported once, and by each worker for itself."""
    more = f"[queues.q]\npreload = {request.param}\n{FILE}"
    made = Place(tmp_path, redis_url, app=APP, more=more)
    made.start("run")
    made.ready()
    yield made
    made.end()


def test_what_code_and_file_declare_runs(place: Place, redis_url: str) -> None:
    """The file knows no code, the code no connection; slots follow one another without a hole."""
    app = Jobd(redis_url)
    schedules = app.queue("q").schedules

    def done(name: str) -> list[str]:
        ids = app.producer.views().jobs("q", "completed", 1000)
        return sorted(each for each in ids if each.startswith(f"{name}:"))

    eventually(lambda: len(done("code")) >= 3 and len(done("file")) >= 3)
    assert {s.name: (s.origin, s.task) for s in schedules.list()} == {
        "code": ("declared", "tick"), "file": ("declared", "tick"), "daily": ("declared", "daily"),
    }  # fmt: skip
    assert place.jobd("schedules", "pause", "code").returncode == 0
    place.end()
    for name in ("code", "file"):  # once nobody is in the middle of one
        seconds = [int(each.rpartition(":")[2].removesuffix("Z")) for each in done(name)]
        assert {(b - a) % 60 for a, b in pairwise(seconds)} == {1}
    assert schedules.get("code").paused  # type: ignore[union-attr]
    assert place.events("schedule.unusable") == []
    assert place.events("schedules.unwritten") == []
    assert {(e["schedule"], e["how"]) for e in place.events("schedule.declared")} == {
        ("code", "created"), ("file", "created"), ("daily", "created"),
    }  # fmt: skip


def test_a_schedule_of_a_task_nobody_knows_is_warned_of(tmp_path: Path, redis_url: str) -> None:
    """`jobd check` compares the file with the code."""
    place = Place(tmp_path, redis_url, app=APP, more=FILE.replace('"tick"', '"tik"'))
    done = place.jobd("check")

    assert done.returncode == 0
    assert "schedules[0].task: 'tik' is no task of queue 'q'" in done.stdout
    assert "did you mean 'tick'?" in done.stdout
