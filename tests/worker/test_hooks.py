"""Hooks of an application, called by a worker on a real server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.inline import in_state, working
from support.servers import eventually

from jobd import DeclarationError, Discard, Jobd, JobEvent, JobFailed, Queue, Snooze
from jobd.broker.commands import Blame
from jobd.seams.scoreboard_page import Page
from jobd.worker.hooked import HookedLane
from jobd.worker.lane import Lane

Heard = list[JobEvent]


@pytest.fixture
def q(app: Jobd) -> Queue:
    queue = app.queue("q", attempts=2, backoff=lambda failures: 0.001)

    @queue.task()
    def work(how: str, job_id: str = "") -> str:
        if how == "fails":
            raise ValueError("no")
        if how == "snoozes":
            raise Snooze(1)
        if how == "discards":
            raise Discard("off")
        return "done"

    @queue.task()
    def odd() -> object:
        return object()

    return queue


def hear(app: Jobd, *events: str) -> Heard:
    heard: Heard = []
    for event in events:
        app.on(event)(heard.append)
    return heard


def names(heard: Heard) -> list[str]:
    return [event.event for event in heard]


def test_a_good_run_is_told_from_beginning_to_end(app: Jobd, q: Queue, page: Page) -> None:
    """In the worker, in order, with what a hook may want to know."""
    heard = hear(app, "started", "completed", "failed")

    with working(app, q, page):
        handle = q.add("work", {"how": "well"})
        assert handle.result("10s") == "done"

    started, completed = heard
    assert (started.event, completed.event) == ("started", "completed")
    for event in heard:
        assert (event.id, event.queue, event.task, event.attempt) == (handle.id, "q", "work", 1)
        assert event.token == started.token
    assert (started.duration, started.cause, started.error) == (None, None, None)
    assert 0 <= (completed.duration or -1) < 10
    assert started.at <= completed.at


def test_each_failed_attempt_is_told(app: Jobd, q: Queue, page: Page) -> None:
    """And whether it is tried again; the death is told by the store, once, after the last."""
    heard = hear(app, "failed", "dead")

    with working(app, q, page):
        handle = q.add("work", {"how": "fails"})
        with pytest.raises(JobFailed):
            handle.result("10s")
        eventually(lambda: len(heard) == 3)

    first, second, dead = heard
    assert [(e.event, e.attempt, e.cause, e.error) for e in heard] == [
        ("failed", 1, "failed", "ValueError: no"),
        ("failed", 2, "failed", "ValueError: no"),
        ("dead", None, "failed", "ValueError: no"),
    ]
    assert (first.retry_in, second.retry_in) == (0.001, None)
    assert first.duration is not None
    assert (dead.id, dead.task, dead.queue) == (handle.id, "work", "q")


@pytest.mark.parametrize(
    ("task", "args", "expected"),
    [
        ("work", {"how": "snoozes"}, []),
        ("work", {"how": "discards"}, [("dead", "discarded")]),
        ("work", {"how": 7}, [("dead", "undecodable")]),
        ("odd", {}, [("failed", "unencodable"), ("dead", "unencodable")]),
    ],
    ids=["snoozed", "discarded", "undecodable", "unencodable"],
)
def test_only_what_failed_is_told_as_failed(
    app: Jobd, q: Queue, page: Page, task: str, args: dict[str, Any], expected: list[Any]
) -> None:
    """A wish of the task is none, nor is what did not run."""
    heard = hear(app, "failed", "dead", "completed")

    with working(app, q, page):
        q.add(task, args)
        q.add("work", {"how": "well"}, job_id="last", priority=9)
        eventually(lambda: "completed" in names(heard) and len(heard) == len(expected) + 1)
    assert [(e.event, e.cause) for e in heard if e.id != "last"] == expected


def test_a_timeout_is_told_by_who_judges_it(app: Jobd, q: Queue, page: Page) -> None:
    """Its own process is no more."""
    heard = hear(app, "failed")
    handle = q.add("work", {"how": "well"})
    store = app.producer.store("q")
    store.join("dead.1", 30_000)
    store.claim("dead.1", 30_000)
    store.release("dead.1", [Blame(handle.id, "timeouts", b'{"kind":"timeout","how":"SIGKILL"}')])

    with working(app, q, page):
        assert handle.result("10s") == "done"
    assert [(e.attempt, e.cause, e.error) for e in heard] == [
        (1, "timeout", "timeout: its process ended with SIGKILL")
    ]


@pytest.mark.parametrize("way", ["crash", "lost", "fenced"])
def test_a_run_whose_process_is_gone_is_told(app: Jobd, q: Queue, page: Page, way: str) -> None:
    """By the script that takes its job back, whoever calls it."""
    heard = hear(app, "lost")
    handle = q.add("work", {"how": "well"})
    store = app.producer.store("q")
    with working(app, q, page):  # says that there are hooks
        handle.result("10s")
    again = q.add("work", {"how": "well"})
    bystander = q.add("work", {"how": "well"})
    store.join("dead.1", 1 if way == "lost" else 30_000)
    store.claim("dead.1", 1 if way == "lost" else 30_000, slots=1)
    if way == "lost":
        eventually(lambda: store.reap("dead.1", store.open_leases()["dead.1"]))
    else:
        store.release("dead.1", [Blame(again.id, {"crash": "crashes", "fenced": "lost"}[way])])
    for _ in range(2):
        store.release("dead.1", [Blame(again.id, "crashes")])

    with working(app, q, page, "w.2"):
        assert again.result("10s") == bystander.result("10s") == "done"
        eventually(lambda: heard)
    assert [(e.event, e.id, e.cause) for e in heard] == [
        ("lost", again.id, "crash" if way == "crash" else "lost")
    ]


def test_what_a_hook_raises_changes_nothing(app: Jobd, q: Queue, page: Page) -> None:
    """It is told; the next hook is called, and the job ends as it would have."""

    @app.on("started")
    @app.on("completed")
    def broken(event: JobEvent) -> None:
        raise SystemExit(event.event)

    heard = hear(app, "started", "completed")

    with working(app, q, page) as worker:
        assert q.add("work", {"how": "well"}).result("10s") == "done"
    assert names(heard) == ["started", "completed"]
    assert worker.said.count("hook.failed") == 2
    assert worker.error is None


def test_async_hooks_run_to_their_end(app: Jobd, q: Queue, page: Page) -> None:
    """Of runs and of deaths."""
    heard: Heard = []

    async def hook(event: JobEvent) -> None:
        await asyncio.sleep(0)
        heard.append(event)

    for event in ("started", "failed", "dead"):
        app.on(event)(hook)

    with working(app, q, page):
        q.add("work", {"how": "fails"}, attempts=1)
        eventually(lambda: len(heard) == 3)
    assert names(heard) == ["started", "failed", "dead"]


def test_a_death_is_told_until_a_hook_has_taken_it(app: Jobd, q: Queue, page: Page) -> None:
    """A hook that fails is called again; one that went well beside it is not."""
    tries: list[str] = []

    @app.on("dead")
    def fails_once(event: JobEvent) -> None:
        tries.append("fails")
        if tries.count("fails") == 1:
            raise ConnectionError("the pager is down")

    @app.on("dead")
    def well(event: JobEvent) -> None:
        tries.append("well")

    with working(app, q, page):
        q.add("work", {"how": "fails"}, attempts=1)
        hook_job = eventually(lambda: app.producer.views().jobs("q", "delayed"))[0]
        assert q.job(hook_job).run_now() == "waiting"
        eventually(in_state(app, "completed", 1))
    assert tries == ["fails", "well", "fails"]
    info = q.job(hook_job).info()
    assert info is not None
    assert (info.task, info.failed) == ("jobd.on.dead", 1)
    assert "the pager is down" in info.history[0]["error"]


def test_the_death_of_a_hooks_job_is_not_told(app: Jobd, q: Queue, page: Page) -> None:
    """It is seen among the dead, as any other; and nothing goes round for ever."""
    calls: Heard = []

    @app.on("dead")
    @app.on("failed")
    def discards(event: JobEvent) -> None:
        calls.append(event)
        if event.event == "dead":
            raise Discard("of no use")

    with working(app, q, page):
        handle = q.add("work", {"how": "fails"}, attempts=1)
        eventually(in_state(app, "dead", 2))
        dead = app.producer.views().jobs("q", "dead")
        assert q.add("work", {"how": "well"}, priority=10).result("10s") == "done"
    assert [(e.event, e.id) for e in calls] == [("failed", handle.id), ("dead", handle.id)]
    [hook_job] = set(dead) - {handle.id}
    assert hook_job.startswith("on.dead:")


def test_hooks_that_nobody_asked_for_cost_nothing(app: Jobd, q: Queue, page: Page) -> None:
    """Decided once: the lane is the plain one, and a death makes no job."""
    hear(app, "lost")
    with working(app, q, page) as worker:
        assert type(worker.executor.lane) is Lane
        with pytest.raises(JobFailed):
            q.add("work", {"how": "fails"}, attempts=1).result("10s")
    assert app.producer.client.hget("jobd:{q}:meta", "hooks") == b"lost"
    assert app.producer.views().counts("q")["waiting"] == 0
    hear(app, "completed")
    with working(app, q, page, "w.2") as worker:
        assert type(worker.executor.lane) is HookedLane


def test_facts_that_are_no_text_are_told_as_well_as_can_be(app: Jobd, q: Queue, page: Page) -> None:
    """A record that a stranger has written to."""
    heard = hear(app, "dead")
    with working(app, q, page):
        q.add("work", {"how": "well"}, delay="1h", job_id="a")
        record = {"task": b'\xff\xfe"\\\n', "error": b"\x80\x00" * 3000, "more": "1"}
        app.producer.client.hset("jobd:{q}:job:a", mapping=record)  # type: ignore[arg-type]
        q.job("a").run_now()
        eventually(lambda: heard)
    assert (heard[0].id, heard[0].cause) == ("a", "corrupt")
    assert len(heard[0].error or "") <= 1000


def test_what_is_no_event_or_no_hook_is_refused(app: Jobd, q: Queue) -> None:
    """When it is declared."""
    with pytest.raises(DeclarationError, match="did you mean 'failed'"):
        app.on("faild")
    with pytest.raises(DeclarationError, match="expected a function"):
        app.on("dead")(7)  # type: ignore[type-var]
    for cannot_take_one in (lambda: None, lambda event, more: None):
        with pytest.raises(DeclarationError, match="that takes a JobEvent"):
            app.on("failed")(cannot_take_one)
    app.on("failed")(lambda event, more=1: None)
    app.on("failed")(print)
    with pytest.raises(DeclarationError, match=r"'jobd\.' are jobd's own"):
        q.task("jobd.on.dead")(lambda: None)


def test_hooks_may_use_the_app(app: Jobd, q: Queue, page: Page) -> None:
    """As any code of a worker."""
    done: list[str] = []

    @app.on("dead")
    def add_another(event: JobEvent) -> None:
        q.add("work", {"how": "well", "job_id": event.id}, job_id=f"after-{event.id}")

    with working(app, q, page):
        handle = q.add("work", {"how": "fails"}, attempts=1)
        after = q.job(f"after-{handle.id}")
        eventually(lambda: after.state() == "completed")
        done.append(handle.id)
    assert done
