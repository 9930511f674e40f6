"""What a run adds to the tallies: its outcome, and how long it waited and ran."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.inline import working
from support.servers import eventually

from jobd import Discard, Fixed, Job, Jobd, Retry, Snooze
from jobd.broker.commands import Blame
from jobd.core.tally import LAST_BUCKET, TaskTally, read_tally
from jobd.seams.scoreboard_page import Page
from jobd.worker.figures import Figures

RAN_MS = 20


def tallies(app: Jobd) -> dict[str, TaskTally]:
    raw: Any = app.producer.client.hgetall("jobd:{q}:tally")
    return read_tally(raw).tasks


def test_a_run_that_raised_is_measured(app: Jobd, page: Page) -> None:
    """Failed for good, failed and tried again, discarded, put off: each ran as long as it ran."""
    queue = app.queue("q", attempts=2, backoff=Fixed("1ms"))
    raised: list[int] = []

    @queue.task()
    def work(job: Job, how: str) -> None:
        time.sleep(RAN_MS / 1000)
        raised.append(1)
        match how:
            case "fail":
                raise ValueError
            case "discard":
                raise Discard("no use")
            case "snooze" if len(raised) == 1:
                raise Snooze("1ms")
            case "retry" if job.attempt == 1:
                raise Retry(after="1ms")

    with working(app, queue, page):
        for how, state in (
            ("snooze", "completed"), ("fail", "dead"), ("discard", "dead"), ("retry", "completed"),
        ):  # fmt: skip
            handle = work.enqueue(how=how)
            eventually(lambda h=handle, s=state: h.state() == s)
    mine = tallies(app)["work"]
    assert mine.outcomes == {"completed": 2, "dead": 2, "failed": 2, "snoozed": 1}
    assert len(raised) == 7
    for buckets in (mine.wait, mine.run, mine.total):
        assert sum(buckets) == len(raised)
    assert sum(mine.run[: RAN_MS.bit_length()]) == 0, "none was shorter than it was"
    assert mine.run_us >= len(raised) * RAN_MS * 1000


@given(st.lists(st.tuples(st.integers(-5, 2**40), st.floats(0, 2**40)), min_size=1))
def test_figures_are_the_buckets_of_what_was_waited_and_run(
    runs: list[tuple[int, float]],
) -> None:
    """However quick: the wait, the run, both together; each in the bucket of the next power of two."""
    figures = Figures()
    for wait, ran in runs:
        spans = max(0, wait), int(ran), max(0, wait) + int(ran)
        buckets = [min(span.bit_length(), LAST_BUCKET) for span in spans]
        assert figures.of("t", wait, ran) == "|".join(map(str, ("t", *buckets)))
    sums = figures.take_sums()
    if sums:
        assert sums[1] == sum(max(0, wait) for wait, _ in runs)


def test_a_result_that_cannot_be_kept_was_a_run(app: Jobd, page: Page) -> None:
    """It ended its job, and took its time."""
    queue = app.queue("q")

    @queue.task()
    def work() -> object:
        time.sleep(RAN_MS / 1000)
        return object()

    with working(app, queue, page):
        handle = work.enqueue()
        eventually(lambda: handle.state() == "dead")
    mine = tallies(app)["work"]
    assert mine.outcomes == {"dead": 1}
    assert sum(mine.run) == 1
    assert mine.run_us >= RAN_MS * 1000


@pytest.mark.parametrize(("attempts", "outcome"), [(1, "dead"), (2, "timeout")])
def test_a_timeout_is_a_run_of_its_length(
    app: Jobd, page: Page, attempts: int, outcome: str
) -> None:
    """Its worker was killed; who claims it next judges it, and counts it once."""
    queue = app.queue("q", attempts=attempts, backoff=Fixed("1ms"), timeout="3s")

    @queue.task()
    def work() -> None:
        pass

    handle = work.enqueue()
    store = app.producer.store("q")
    store.join("gone.1", 30_000)
    assert len(store.claim("gone.1", 30_000).jobs) == 1
    store.release("gone.1", [Blame(handle.id, "timeouts", b'{"kind":"timeout"}')])
    with working(app, queue, page):
        eventually(lambda: handle.state() == ("dead" if attempts == 1 else "completed"))
    mine = tallies(app)["work"]
    assert mine.outcomes == {outcome: 1} | ({"completed": 1} if attempts == 2 else {})
    assert mine.run[(3000).bit_length()] == 1
    assert sum(mine.run) == sum(mine.wait) == sum(mine.total) == attempts


def test_what_was_no_run_is_in_no_histogram(app: Jobd, page: Page) -> None:
    """Dead before it began, for whatever reason: its outcome counts."""
    queue = app.queue("q", max_crashes=1)

    @queue.task()
    def work(n: int) -> None:
        pass

    client = app.producer.client
    store = app.producer.store("q")
    accused = work.enqueue(n=1)
    store.join("gone.1", 30_000)
    assert len(store.claim("gone.1", 30_000).jobs) == 1
    store.release("gone.1", [Blame(accused.id, "crashes", b'{"kind":"crash"}')])
    unfit = queue.add("work", {"n": "many"})
    late = queue.add("work", {"n": 1}, expires=datetime.now(UTC) - timedelta(seconds=1))
    unread = work.enqueue(n=2)
    client.hset(f"jobd:{{q}}:job:{unread.id}", "args", "{")
    stranger = queue.add("nobody_knows", {})
    with working(app, queue, page):
        for handle in (accused, unfit, late, unread):
            eventually(lambda h=handle: h.state() == "dead")
        eventually(lambda: stranger.state() == "delayed")
    found = tallies(app)
    assert found["work"].outcomes["crashed"] == 1
    assert sum(tally.outcomes.get("dead", 0) for tally in found.values()) == 4
    assert found["?"].outcomes["parked"] == 1
    assert [sum(tally.run) + sum(tally.wait) for tally in found.values()] == [0] * len(found)
