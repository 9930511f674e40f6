"""Why, of jobs that real worker code has run: what it reads is what workers write."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from jobd import Discard, Fixed, Job, Jobd, JobHandle, Retry, Snooze, Throttle
from jobd.testing import World, world

START = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def app() -> Jobd:
    return Jobd("redis://127.0.0.1:1/0")


@pytest.fixture
def it(app: Jobd, redis_url: str) -> Iterator[World]:
    with world(app, start=START, url=redis_url) as made:
        yield made


def why(handle: JobHandle[object]) -> tuple[list[str], str]:
    """Give the words, and the first reason's text."""
    said = handle.why()
    assert said is not None
    return [reason.word for reason in said.reasons], said.reasons[0].text


def test_a_job_that_is_put_off_in_every_way(app: Jobd, it: World) -> None:
    """Retry by back-off, by Retry, Snooze, and again a failure: each is told from the other."""

    @app.queue("q", attempts=9, backoff=Fixed("10m")).task()
    def work(job: Job) -> None:
        match job.attempt, job.snoozed:
            case (1, _):
                raise ValueError("no")
            case (2, 0):
                raise Snooze("1h", why="closed")
            case (2, _):
                raise Retry(after="2h", why="busy")
            case _:
                raise Discard("off")

    handle = work.enqueue()
    it.run()
    assert why(handle) == (
        ["retry"], "attempt 2 is due 2030-01-01 00:10:00+00:00, after ValueError: no",
    )  # fmt: skip
    it.run_for("10m")
    words, text = why(handle)
    assert words == ["snoozed"]
    assert "put it off until 2030-01-01 01:10:00+00:00: " in text
    assert text.endswith("closed")
    it.run_for("1h")
    words, text = why(handle)
    assert words == ["retry"]
    assert text.startswith("attempt 3 is due 2030-01-01 03:10:00+00:00, after ")
    assert text.endswith("busy")
    it.settle()
    words, text = why(handle)
    assert words == ["dead"]
    assert "of discarded: its task asked for that" in text
    assert text.endswith("off")


def test_a_task_that_nobody_knows(app: Jobd, it: World) -> None:
    """Since when, and when the next look is; known at last, it is a retry like any other."""
    q = app.queue("q", attempts=2, backoff=Fixed("1h"))
    handle = q.add("late")
    assert [ran.state for ran in it.run()] == ["delayed"]
    words, text = why(handle)
    assert words == ["unknown_task"]
    assert text.startswith("no worker knows the task 'late', since 2030-01-01 00:00:00+00:00")

    @q.task("late")
    def late() -> None:
        raise ValueError

    it.run_for("1m")
    assert why(handle)[0] == ["retry"]


def test_a_name_is_unknown_since_it_was_unknown_last(app: Jobd, it: World) -> None:
    """A day of retries in between is no day of waiting for code."""
    q = app.queue("q", attempts=2, backoff=Fixed("1d"))
    handle = q.add("late")
    it.run()
    q.task("late")(lambda: 1 / 0)
    it.run_for("1m")
    info = handle.info()
    assert info is not None
    assert (info.failed, info.parked_since) == (1, None)
    del q.tasks["late"]  # workers with older code came back
    it.run_for("1d")
    words, text = why(handle)
    assert words == ["unknown_task"]
    assert "since 2030-01-02 00:00:" in text
    it.settle()
    assert why(handle)[1].startswith("it died 2030-01-02 01:00:")


def test_a_job_that_expires(app: Jobd, it: World) -> None:
    """Before, after, and when it has been found out."""

    @app.queue("q").task()
    def work() -> None: ...

    handle = work.using(expires="10m").enqueue()
    it.run()
    handle = work.using(delay="5m", expires="10m").enqueue()
    assert why(handle)[0] == ["delayed", "expires"]
    it.advance("20m")
    assert why(handle)[0] == ["due", "expired"]
    it.run()
    assert why(handle) == (
        ["dead"],
        "it died 2030-01-01 00:20:00+00:00 of expired: it could not start before the time it said "
        "(`expires`); it could not start in time",
    )


def test_a_job_that_runs_asks_for_itself(app: Jobd, it: World) -> None:
    """It is in its worker's hands, since now; the next in line waits for it."""
    seen: list[list[str]] = []

    @app.queue("q").task()
    def work(other: str | None) -> None:
        if other is not None:
            seen.append(why(app.queue("q").job(other))[0])

    second = work.using(job_id="second", priority=9).enqueue(None)
    work.using(job_id="first").enqueue("first")
    work.using(job_id="third", priority=6).enqueue("second")
    it.run()
    assert seen == [["active"], ["busy"]]
    said = second.why()
    assert said is not None
    assert said.reasons[0].text.startswith("it has run, and ended well 2030-01-01")
    assert timedelta(0) == it.now - START


def test_a_rate_limit(app: Jobd, it: World) -> None:
    """And when it lets the next one begin: then it does."""

    @app.queue("slow", rate_limit={"max": 1, "per": "1m"}).task()
    def work() -> None: ...

    work.enqueue()
    handle = work.enqueue()
    it.run()
    said = handle.why()
    assert said is not None
    [reason] = said.reasons
    assert reason.word == "rate_limit"
    assert reason.text.startswith("the rate limit of 1 in 1m is used up until 2030-01-01 00:01:")
    assert said.starts_at is not None
    span = said.starts_at / 1000 - START.timestamp()
    it.run_for(span - 0.001)
    assert handle.state() == "waiting"
    it.run_for("1ms")
    assert handle.state() == "completed"


def test_a_task_that_holds_its_queue_back(app: Jobd, it: World) -> None:
    """Who asked for that, and until when."""
    q = app.queue("bank")

    @q.task()
    def work(job: Job) -> None:
        if job.id == "first" and it.now == START:
            raise Throttle("10m")

    first = work.using(job_id="first").enqueue()
    second = work.enqueue()
    it.run()
    until = "queue 'bank' is held back until 2030-01-01 00:10:00+00:00, asked for by job first"
    assert why(second) == (["throttled", "line"], until)
    assert why(first) == (["came_back", "throttled"], "it ran before and held its queue back once")
    it.settle()
    assert (first.state(), second.state()) == ("completed", "completed")


def test_a_cap_over_all_hosts(app: Jobd, it: World) -> None:
    """With what has taken the places."""
    seen: list[tuple[list[str], str]] = []

    @app.queue("one", max_active=1).task()
    def work(other: str | None) -> None:
        if other is not None:
            seen.append(why(app.queue("one").job(other)))

    work.using(job_id="second", priority=9).enqueue(None)
    work.using(job_id="first").enqueue("second")
    it.run()
    [(words, text)] = seen
    assert words == ["max_active", "busy"]
    assert text == "1 of its jobs run, and 1 may at once (max_active): work first for 0ms"
