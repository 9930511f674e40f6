"""Hooks of deaths and losses in a real daemon: told by whoever lives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.commands import Place
from support.servers import eventually

from jobd import Jobd

pytestmark = pytest.mark.process

APP = """
import os, signal
from jobd import Jobd, JobEvent

app = Jobd()
q = app.queue("q", max_crashes=1)

def note(*words):
    with open("heard", "a") as file:
        print(*words, file=file)

@q.task()
def dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)

@app.on("started")
def begun(event: JobEvent) -> None:
    note("started", event.id)

@app.on("lost")
def lost(event: JobEvent) -> None:
    note("lost", event.id, event.cause)

@app.on("dead")
async def dead(event: JobEvent) -> None:
    note("dead", event.id, event.cause, "attempt")
    if not os.path.exists("killed"):
        open("killed", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    note("dead", event.id, event.cause, "told")
"""


@pytest.fixture
def place(tmp_path: Path, redis_url: str) -> Iterator[Place]:
    made = Place(tmp_path, redis_url, app=APP)
    made.start("run")
    made.ready()
    yield made
    made.end()


def test_a_poisoned_job_is_told_of_though_its_hook_is_killed_too(
    place: Place, redis_url: str, tmp_path: Path
) -> None:
    """Its own process cannot tell; the next one could, and is killed while it does; a third does."""
    app = Jobd(redis_url)
    app.queue("q").add("dies", {}, job_id="a")
    heard = tmp_path / "heard"
    eventually(lambda: heard.exists() and "told" in heard.read_text())

    lines = sorted(heard.read_text().splitlines())
    assert lines == [
        "dead a poison attempt",
        "dead a poison attempt",
        "dead a poison told",
        "lost a crash",
        "started a",
    ]
    views = app.producer.views()
    eventually(lambda: views.counts("q")["completed"] == 2)
    crashes = [info.crashes for i in views.jobs("q", "completed") if (info := views.info("q", i))]
    assert sorted(crashes) == [0, 1]
