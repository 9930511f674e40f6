"""`expires`: do not start after. Redis' clock decides, at the start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from support.inline import working

from jobd import Fixed, Job, Jobd, JobFailed, OptionError
from jobd.seams.scoreboard_page import Page


def died_of(handle: object) -> str:
    with pytest.raises(JobFailed) as failed:
        handle.result("10s")  # type: ignore[attr-defined]
    return failed.value.cause


@pytest.mark.parametrize("known", [True, False])
def test_what_could_not_start_in_time_is_dead(app: Jobd, page: Page, known: bool) -> None:
    """Whether its task is known here or not; its time is a matter of record."""
    queue = app.queue("q")
    ran: list[int] = []
    if known:

        @queue.task()
        def work() -> None:
            ran.append(1)

    handle = queue.add("work", expires=datetime.now(UTC) - timedelta(seconds=1))
    with working(app, queue, page):
        assert died_of(handle) == "expired"
    assert ran == []
    info = handle.info()
    assert info is not None
    assert info.expires_at is not None


def test_what_starts_in_time_runs(app: Jobd, page: Page) -> None:
    """A span counts from the adding, by Redis' clock."""
    queue = app.queue("q")

    @queue.task()
    def work() -> int:
        return 1

    handle = work.using(expires="1m").enqueue()
    info = handle.info()
    assert info is not None
    assert info.enqueued_at is not None
    assert info.expires_at == info.enqueued_at + 60_000
    with working(app, queue, page):
        assert handle.result("10s") == 1
        assert work.using(delay="10ms", expires="1m").enqueue().result("10s") == 1


def test_a_retry_that_would_start_too_late_does_not(app: Jobd, page: Page) -> None:
    """Each start is a start; its history says what happened before."""
    queue = app.queue("q", attempts=5, backoff=Fixed("1500ms"))

    @queue.task()
    def fails() -> None:
        raise ValueError("no")

    with working(app, queue, page):
        handle = fails.using(expires="1s").enqueue()
        assert died_of(handle) == "expired"
    info = handle.info()
    assert info is not None
    assert [run["kind"] for run in info.history] == ["failed"]


def test_a_person_may_run_it_all_the_same(app: Jobd, page: Page) -> None:
    """Retrying drops the deadline."""
    queue = app.queue("q")

    @queue.task()
    def work(job: Job) -> int:
        return job.attempt

    handle = work.using(expires=datetime(2020, 1, 1, tzinfo=UTC)).enqueue()
    with working(app, queue, page):
        assert died_of(handle) == "expired"
        assert handle.retry() == "retried"
        assert handle.result("10s") == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"expires": 0}, "expected a time in which it may start"),
        ({"expires": "soon"}, "expected a duration such as '30s'"),
        ({"expires": datetime(2030, 1, 1)}, "a datetime with a time zone"),  # noqa: DTZ001
        ({"expires": "5m", "delay": "10m"}, "not after its delay"),
        (
            {"expires": datetime(2030, 1, 1, tzinfo=UTC), "run_after": datetime(2031, 1, 1, tzinfo=UTC)},
            "not after its delay",
        ),
    ],
)  # fmt: skip
def test_times_that_make_no_sense_are_refused(
    app: Jobd, given: dict[str, object], said: str
) -> None:
    """Where they were written."""
    with pytest.raises(OptionError, match=said):
        app.queue("q").add("work", **given)
