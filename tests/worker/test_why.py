"""Why, with a real worker at work: what it says of its slots, and what they are busy with."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from support.inline import in_state, new_page, working
from support.servers import eventually

from jobd import Jobd


@pytest.mark.parametrize("slots", [1, 3])
def test_a_job_that_waits_for_a_slot(redis_url: str, tmp_path: Path, slots: int) -> None:
    """None is free while each runs a job; then it is the next, and has run."""
    app = Jobd(redis_url)
    q = app.queue("q")
    go = threading.Event()

    @q.task()
    def work() -> None:
        go.wait(60)

    for _ in range(slots):
        work.enqueue()
    page = new_page(tmp_path, cells=slots)
    with working(app, q, page, concurrency=slots):
        eventually(in_state(app, "active", slots))
        handle = work.enqueue()
        said = handle.why()
        assert said is not None
        [reason] = said.reasons
        assert reason.word == "busy"
        assert reason.text.startswith("the only slot of" if slots == 1 else "all 3 slots of")
        assert said.when == "as soon as a slot is free: it is the next"
        go.set()
        handle.result()
    ended = handle.why()
    assert ended is not None
    assert [each.word for each in ended.reasons] == ["completed"]
