"""`jobd.testing.recorded`: what was added, asserts that say what was added instead, and no Redis."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from unittest.mock import ANY
from uuid import UUID

import pytest

from jobd import Jobd, NotSerializable, OptionError, ResultTimeout, UnknownTask
from jobd.testing import NoRedisHere, recorded

# Nothing listens there: whoever spoke to Redis would fail.
NOWHERE = "redis://127.0.0.1:1/0"
ID = UUID("0199b5a2-5f2c-7000-8000-000000000001")


@pytest.fixture
def app() -> Jobd:
    app = Jobd(NOWHERE)
    email, reports = app.queue("email"), app.queue("reports", priority=8)

    @email.task("welcome-email")
    def welcome(user_id: int, address: str = "?") -> None:
        raise AssertionError("it must not run")

    @email.task("goodbye-email")
    def goodbye(user: UUID) -> None: ...

    @reports.task("welcome-email")
    def report() -> None: ...

    return app


def welcome(app: Jobd) -> Any:
    return app.queue("email").tasks["welcome-email"]


def test_an_add_is_written_down_and_nothing_runs(app: Jobd) -> None:
    """By enqueue, by name, and many."""
    with recorded(app) as added:
        handle = welcome(app).enqueue(7, address="a@b.example")
        app.queue("email").add("other-program", {"n": 1})
        app.queue("email").add_many([("welcome-email", {"user_id": i}) for i in (8, 9)])

    assert [(job.task, job.args) for job in added] == [
        ("welcome-email", {"user_id": 7, "address": "a@b.example"}),
        ("other-program", {"n": 1}),
        ("welcome-email", {"user_id": 8}),
        ("welcome-email", {"user_id": 9}),
    ]
    assert added.assert_one("welcome-email", user_id=7).id == handle.id
    assert len(added.assert_some(welcome(app))) == 3
    added.assert_count(3, "welcome-email")
    added.assert_none("welcome-email", user_id=10)
    added.assert_none("goodbye-email")
    added.clear()
    added.assert_none()


def test_options_are_there_as_they_were_said(app: Jobd) -> None:
    """Also those that only a worker reads."""
    tomorrow = datetime(2030, 1, 1, tzinfo=UTC)
    with recorded(app) as added:
        task = welcome(app)
        task.using(delay="30m", priority=1, attempts=3, expires="1h", job_id="x").enqueue(1)
        task.using(run_after=tomorrow, expires=datetime(2030, 1, 2, tzinfo=UTC)).enqueue(2)
        app.queue("reports").add("welcome-email")

    first, second, third = added
    assert (first.id, first.delay, first.priority, first.expires) == ("x", 1800.0, 1, 3600.0)
    assert first.options == {"attempts": 3}
    assert (second.run_after, second.delay) == (tomorrow, None)
    assert second.expires == datetime(2030, 1, 2, tzinfo=UTC)
    assert (third.queue, third.priority) == ("reports", 8)


def test_a_task_itself_says_which_queue(app: Jobd) -> None:
    """Two queues may have a task of one name."""
    with recorded(app) as added:
        welcome(app).enqueue(7)
        app.queue("reports").add("welcome-email")
        assert added.assert_one(welcome(app)).queue == "email"
        added.assert_count(2, "welcome-email")


def test_arguments_are_compared_as_they_travel(app: Jobd) -> None:
    """A UUID is the string that it becomes; what compares itself may."""
    with recorded(app) as added:
        app.queue("email").tasks["goodbye-email"].enqueue(user=ID)
        added.assert_one("goodbye-email", user=ID)
        added.assert_one("goodbye-email", user=str(ID))
        added.assert_one("goodbye-email", user=ANY)


def test_a_failed_assert_says_what_was_added_instead(app: Jobd) -> None:
    """The nearest first, with what is different."""
    with recorded(app) as added:
        with pytest.raises(AssertionError, match="nothing was added"):
            added.assert_one("welcome-email")
        app.queue("email").add("other-program", {"n": 1})
        welcome(app).using(delay="30m", attempts=2).enqueue(7)

    with pytest.raises(AssertionError) as failure:
        added.assert_one("welcome-email", user_id=8, address="x")
    assert str(failure.value) == (
        "welcome-email(user_id=8, address='x'): none was added; expected 1\n"
        "added were:\n"
        "  email: welcome-email(user_id=7)  delay=30m  attempts=2  <- user_id is 7; no address\n"
        "  email: other-program(n=1)"
    )
    with pytest.raises(AssertionError, match="1 was added; expected none"):
        added.assert_none("welcome-email")
    with pytest.raises(AssertionError, match="2 added; expected none"):
        added.assert_none()
    with pytest.raises(AssertionError, match="expected one at least"):
        added.assert_some("goodbye-email")
    assert "other-program(n=1)" in repr(added)


def test_a_slip_in_an_assert_does_not_pass_for_nothing_added(app: Jobd) -> None:
    """`assert_none` of a name that nobody has would be true for ever."""
    with recorded(app) as added:
        with pytest.raises(UnknownTask, match="did you mean 'welcome-email'"):
            added.assert_none("welcom-email")
        with pytest.raises(TypeError, match="did you mean 'user_id'"):
            added.assert_none("welcome-email", userid=7)
        added.assert_none("something-else-altogether")


def test_what_adding_refuses_is_refused(app: Jobd) -> None:
    """A test must not pass where production would fail."""
    with recorded(app) as added:
        with pytest.raises(TypeError, match="unknown argument"):
            welcome(app).enqueue(user=7)
        with pytest.raises(OptionError, match="did you mean 'priority'"):
            welcome(app).using(priorty=1)
        with pytest.raises(NotSerializable):
            app.queue("email").add("welcome-email", {"user_id": object()})
        added.assert_none()


def test_the_same_id_is_the_same_job(app: Jobd) -> None:
    """The second add says so, and asserts do not count it."""
    with recorded(app) as added:
        task = welcome(app).using(job_id="trial-7")
        assert [task.enqueue(7).outcome for _ in range(2)] == ["enqueued", "duplicate"]
        added.assert_one("welcome-email")
        assert [job.outcome for job in added] == ["enqueued", "duplicate"]


def test_a_handle_answers(app: Jobd) -> None:
    """Code under test may look at its job, move it and cancel it."""
    with recorded(app):
        handle = welcome(app).using(delay="1h").enqueue(7)
        assert handle.state() == "delayed"
        assert handle.info().args == {"user_id": 7}
        assert handle.run_now() == "waiting"
        assert handle.reschedule("1h") == "delayed"
        assert handle.retry() == "delayed"
        assert handle.delete() == "delayed"
        assert app.queue("email").cancel(handle) == {handle.id: "cancelled"}
        assert handle.retry() == "retried"
        assert (handle.state(), handle.cancel(), handle.delete()) == (
            "waiting",
            "cancelled",
            "deleted",
        )
        assert (handle.state(), handle.info(), handle.cancel()) == (None, None, "gone")


def test_nobody_waits_for_what_never_runs(app: Jobd) -> None:
    """At once, and not after a time-out; on an event loop too."""
    with recorded(app):
        handle = welcome(app).enqueue(7)
        with pytest.raises(ResultTimeout, match="waiting; expected to have ended"):
            handle.result()
        with pytest.raises(ResultTimeout):
            asyncio.run(handle.aresult())


def test_what_only_a_server_knows_is_refused_and_no_server_is_asked(app: Jobd) -> None:
    """Were one asked, this would be BrokerUnavailable."""
    with recorded(app):
        with pytest.raises(NoRedisHere, match="world"):
            list(app.queue("email").find())
        with pytest.raises(NoRedisHere):
            app.producer.views().queues()
        with pytest.raises(NoRedisHere):
            welcome(app).enqueue(1).why()


def test_an_event_loop_adds_too(app: Jobd) -> None:
    """aenqueue and aadd."""

    async def add() -> None:
        await welcome(app).aenqueue(7)
        await app.queue("email").aadd("welcome-email", {"user_id": 8})

    with recorded(app) as added:
        asyncio.run(add())
        added.assert_count(2, "welcome-email")


def test_blocks_nest_and_end(app: Jobd) -> None:
    """Each records what is added in it, and an error ends it too."""
    with recorded(app) as outer:
        with recorded(app) as inner:
            welcome(app).enqueue(1)
        with pytest.raises(ZeroDivisionError), recorded(app):
            raise ZeroDivisionError
        welcome(app).enqueue(2)
    assert [job.args["user_id"] for job in inner] == [1]
    assert [job.args["user_id"] for job in outer] == [2]
    with pytest.raises(Exception, match="cannot be reached"):
        welcome(app).enqueue(3)


def test_many_from_an_iterator_are_recorded_too(app: Jobd) -> None:
    """More than a round trip's worth, and on an event loop."""
    email = app.queue("email")
    with recorded(app) as added:
        email.add_many(("welcome-email", {"user_id": i}) for i in range(1500))
        asyncio.run(email.aadd_many([("welcome-email", {"user_id": 1500})]))
        assert len(added) == 1501
        added.assert_one("welcome-email", user_id=1500)


def test_locks_and_labels_are_there_too(app: Jobd) -> None:
    """And a lock that is held answers as it would in Redis."""
    with recorded(app) as added:
        task = welcome(app).using(unique=True, group="acme", meta={"trace": "t7"})
        assert [task.enqueue(7).outcome for _ in range(2)] == ["enqueued", "duplicate"]
        one = added.assert_one("welcome-email")
        assert one.unique == "finished"
        assert (one.options["group"], one.options["meta"]) == ("acme", {"trace": "t7"})
        assert "unique=finished" in str(one)
        welcome(app).using(unique={"until": "ttl", "ttl": "1h"}).enqueue(8)
        assert added[-1].unique == "ttl"


def test_locks_hold_and_let_go_as_they_would(app: Jobd) -> None:
    """Who waits makes way; what was cancelled comes back only while the lock is free."""
    with recorded(app) as added:
        latest = welcome(app).using(unique={"by": "user_id", "replace": True})
        first, second = latest.enqueue(7, "a"), latest.enqueue(7, "b")
        assert (second.outcome, first.state(), first.retry()) == (
            "replaced",
            "cancelled",
            "duplicate",
        )
        assert second.cancel() == "cancelled"
        assert (first.retry(), second.retry()) == ("retried", "duplicate")
        assert latest.enqueue(8).outcome == "enqueued"
        hourly = welcome(app).using(unique={"until": "ttl", "ttl": "1h"})
        assert [hourly.enqueue(9).outcome for _ in range(2)] == ["enqueued", "duplicate"]
        again = welcome(app).using(job_id="one", on_duplicate="rerun_finished")
        assert [again.enqueue(1).outcome for _ in range(2)] == ["enqueued", "duplicate"]
        app.queue("email").job("one").cancel()
        assert again.enqueue(2).outcome == "replaced"
        assert [job.outcome for job in added][-1] == "replaced"
