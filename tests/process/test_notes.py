"""What a job said, and did, before its process was killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.commands import Place
from support.servers import eventually

from jobd import Jobd

pytestmark = pytest.mark.process

APP = """
import os, signal, time
from pathlib import Path
from jobd import Job, Jobd

app = Jobd()
q = app.queue("q")

def charge(path: str) -> str:
    with open(path, "a") as file:
        file.write("charged\\n")
    return "receipt"

@q.task()
def order(job: Job, directory: str) -> str:
    receipt = job.once("charge", charge, f"{directory}/charges")
    job.log(f"paid: {receipt}")
    job.progress(0.5, "paid")
    first = not os.path.exists(f"{directory}/killed")
    while first:
        time.sleep(0.01)
        if os.path.exists(f"{directory}/die"):
            Path(f"{directory}/killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return receipt
"""


@pytest.fixture
def place(tmp_path: Path, redis_url: str) -> Iterator[Place]:
    made = Place(tmp_path, redis_url, app=APP)
    made.start("run")
    made.ready()
    yield made
    made.end()


def test_what_was_said_and_done_before_a_crash_is_there(
    place: Place, redis_url: str, tmp_path: Path
) -> None:
    """The words that were sent, and the step that was recorded: it is not done again."""
    handle = Jobd(redis_url).queue("q").add("order", {"directory": str(tmp_path)})
    eventually(handle.progress)
    (tmp_path / "die").touch()

    assert handle.result("60s") == "receipt"
    info = handle.info()
    assert info is not None
    assert (tmp_path / "charges").read_text() == "charged\n"
    assert [line.text for line in info.logs] == ["paid: receipt"] * 2
    assert info.logs[0].token < info.logs[1].token
    assert (info.crashes, info.steps) == (1, {"charge": "receipt"})
    shown = place.jobd("jobs", "show", handle.id).stdout
    assert " 50%  paid" in shown
    assert shown.count("paid: receipt") == 2
