"""What a handle can do to its job, and what it is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobd import JobCancelled, Jobd, OptionError, Queue


@pytest.fixture
def q(redis_url: str) -> Queue:
    return Jobd(redis_url).queue("q")


def test_a_waiting_job_is_cancelled_at_once(q: Queue) -> None:
    """And who waits for its result is told so; saying it again says the same."""
    handle = q.add("work")

    assert [handle.cancel(), handle.cancel(), handle.state()] == ["cancelled"] * 3
    with pytest.raises(JobCancelled):
        handle.result("5s")
    assert handle.retry() == "retried"
    assert handle.state() == "waiting"


def test_a_trial_that_was_cancelled_sends_no_mail(q: Queue) -> None:
    """By the id alone, from a program that never saw the handle."""
    q.add("mail", delay="30m", job_id="trial-7")
    handle = q.job("trial-7")

    assert (handle.outcome, handle.cancel(), handle.delete()) == ("known", "cancelled", "deleted")
    assert (handle.state(), handle.cancel(), handle.retry()) == (None, "gone", "gone")


def test_a_job_is_moved_to_another_time(q: Queue) -> None:
    """By delay, by instant, and to now."""
    handle = q.add("work")
    assert handle.reschedule("1h") == "delayed"
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert handle.reschedule(run_after=tomorrow) == "delayed"
    info = handle.info()
    assert info is not None
    assert info.due_at == int(tomorrow.timestamp() * 1000)
    assert (handle.run_now(), handle.run_now()) == ("waiting", "waiting")


def test_what_runs_is_not_moved(q: Queue) -> None:
    """Refused in a word, and nothing was changed."""
    handle = q.add("work")
    store = q._producer.store("q")
    store.join("w.1", 30_000)
    store.claim("w.1", 30_000)
    assert [handle.reschedule("1h"), handle.retry(), handle.delete()] == ["active"] * 3
    assert handle.cancel() == "asked"


@pytest.mark.parametrize("given", [{}, {"delay": 1, "run_after": datetime.now(UTC)}])
def test_a_new_time_is_one_time(q: Queue, given: dict[str, object]) -> None:
    """Neither and both make no sense."""
    with pytest.raises(OptionError, match="expected one of the two"):
        q.job("a").reschedule(**given)  # type: ignore[arg-type]


def test_a_handle_says_why(redis_url: str) -> None:
    """As `jobd why` does."""
    handle = Jobd(redis_url).queue("q").add("t", delay="1h")
    said = handle.why()
    assert said is not None
    assert [reason.word for reason in said.reasons] == ["delayed", "no_workers"]
    assert "no worker serves queue 'q'" in str(said)
    handle.cancel()
    handle.delete()
    assert handle.why() is None
