"""`jobd.testing.inline`: a job runs where it is added, as a worker would run it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from jobd import Discard, Job, Jobd, JobEvent, JobFailed, OptionError, Retry, Snooze, UnknownTask
from jobd.testing import inline

NOWHERE = "redis://127.0.0.1:1/0"


@dataclass
class Order:
    """What a task takes."""

    number: int
    at: datetime


@pytest.fixture
def app() -> Jobd:
    return Jobd(NOWHERE)


def test_a_job_has_run_when_its_handle_is_there(app: Jobd) -> None:
    """Its arguments went through JSON to their types, its result came back through JSON."""
    q = app.queue("q")

    @q.task()
    def take(order: Order, *, times: int = 2) -> dict[str, Any]:
        assert isinstance(order, Order)
        return {"of": order.at.year, "pair": (order.number,) * times}

    with inline(app) as added:
        handle = take.enqueue(Order(7, datetime(2030, 1, 1, tzinfo=UTC)))
        assert handle.state() == "completed"
        assert handle.result() == {"of": 2030, "pair": [7, 7]}
        assert asyncio.run(handle.aresult()) == handle.result()
        assert handle.info().result == handle.result()
        added.assert_one(take)


def test_the_context_is_a_real_one(app: Jobd) -> None:
    """With the call's options, and a token that grows."""
    seen: list[Job] = []

    @app.queue("q", attempts=4).task()
    def look(job: Job) -> None:
        seen.append(job)
        assert not job.cancelled

    with inline(app):
        look.enqueue()
        look.using(attempts=2, job_id="mine", timeout=0).enqueue()

    first, second = seen
    assert (first.queue, first.task, first.attempt, first.max_attempts) == ("q", "look", 1, 4)
    assert (second.id, second.max_attempts, second.deadline) == ("mine", 2, None)
    assert second.token > first.token


def test_what_a_task_raises_is_raised_where_it_was_added(app: Jobd) -> None:
    """The very exception; and the job is dead."""
    error = KeyError("no such user")

    @app.queue("q", attempts=3).task()
    def fails() -> None:
        raise error

    with inline(app):
        with pytest.raises(KeyError) as raised:
            fails.using(job_id="a").enqueue()
        assert raised.value is error
        assert app.queue("q").job("a").state() == "dead"


def test_failures_may_end_as_in_production(app: Jobd) -> None:
    """With all its attempts, its history, and JobFailed for who asks for the result."""
    attempts: list[int] = []
    q = app.queue("q", attempts=3)

    @q.task()
    def fails(job: Job, until: int) -> str:
        attempts.append(job.attempt)
        if job.attempt <= until:
            raise ValueError("no")
        return "done"

    with inline(app, failures="record"):
        assert fails.enqueue(2).result() == "done"
        handle = fails.enqueue(3)
        assert handle.state() == "dead"
        with pytest.raises(JobFailed, match="ValueError: no"):
            handle.result()
        info = handle.info()
        assert (info.failed, info.cause, len(info.history)) == (3, "failed", 3)
        assert handle.retry() == "retried"
        assert handle.info().failed == 3
    assert attempts == [1, 2, 3] * 3


def test_what_a_task_asks_for_is_no_failure(app: Jobd) -> None:
    """A snoozed job stays delayed until it is moved, a discarded one is dead; Retry is a failure."""
    q = app.queue("q", attempts=2)

    @q.task()
    def asks(job: Job, what: str) -> int:
        if what == "snooze" and not job.snoozed:
            raise Snooze("1h")
        if what == "discard":
            raise Discard("off")
        if what == "retry":
            raise Retry(after="5m")
        return job.snoozed

    with inline(app):
        snoozed = asks.enqueue("snooze")
        assert snoozed.state() == "delayed"
        assert snoozed.run_now() == "completed"
        assert snoozed.result() == 1
        info = asks.enqueue("discard").info()
        assert (info.state, info.cause) == ("dead", "discarded")
        with pytest.raises(Retry):
            asks.enqueue("retry")


def test_what_cannot_be_read_or_written_fails(app: Jobd) -> None:
    """Arguments that do not fit the annotations, a result that is no JSON."""
    q = app.queue("q")

    @q.task()
    def gives(n: int) -> Any:
        return object()

    with inline(app):
        with pytest.raises(JobFailed, match="undecodable: Expected `int`, got `str`"):
            q.add("gives", {"n": "seven"})
        with pytest.raises(JobFailed, match="unencodable"):
            gives.enqueue(1)


def test_jobs_that_jobs_add_run_within_them(app: Jobd) -> None:
    """Deep ones too."""
    q = app.queue("q")
    order: list[int] = []

    @q.task()
    def down(n: int) -> int:
        order.append(n)
        below = down.enqueue(n - 1).result() if n else 0
        order.append(-n)
        return int(below) + n

    with inline(app):
        assert down.enqueue(3).result() == 6
    assert order == [3, 2, 1, 0, 0, -1, -2, -3]


def test_delays_are_not_waited_for(app: Jobd) -> None:
    """Nothing expires meanwhile; what had to start long ago is dead as ever."""
    ran: list[int] = []

    @app.queue("q").task()
    def work(n: int) -> None:
        ran.append(n)

    with inline(app):
        assert work.using(delay="1h", expires="2h").enqueue(1).state() == "completed"
        work.using(run_after=datetime(2100, 1, 1, tzinfo=UTC)).enqueue(2)
        assert [h.state() for h in app.queue("q").add_many([("work", {"n": 3})])] == ["completed"]
        with pytest.raises(JobFailed, match="expired"):
            work.using(expires=datetime(2020, 1, 1, tzinfo=UTC)).enqueue(9)
        work.using(job_id="one").enqueue(4)
        assert work.using(job_id="one").enqueue(5).outcome == "duplicate"
    assert ran == [1, 2, 3, 4]


def test_an_event_loop_is_not_blocked(app: Jobd) -> None:
    """aenqueue runs a sync task in a thread."""

    @app.queue("q").task()
    def work() -> int:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        return 7

    async def add() -> int:
        return await (await work.aenqueue()).aresult()

    with inline(app):
        assert asyncio.run(add()) == 7


def test_a_task_of_another_program_is_refused(app: Jobd) -> None:
    """It cannot run here; nothing is written down."""
    q = app.queue("q")

    @q.task("known")
    def known() -> None: ...

    with inline(app) as added:
        with pytest.raises(UnknownTask, match=r"expected known.*did you mean 'known'"):
            q.add("knwon")
        with pytest.raises(UnknownTask, match="expected one that is"):
            app.queue("other").add("work")
        added.assert_none()


def test_interrupting_a_test_interrupts_it(app: Jobd) -> None:
    """A worker would call it the job's failure; a person at a terminal means the test."""

    @app.queue("q", attempts=3).task()
    def stuck() -> None:
        raise KeyboardInterrupt

    with inline(app, failures="record"), pytest.raises(KeyboardInterrupt):
        stuck.enqueue()


def test_a_wrong_word_is_refused(app: Jobd) -> None:
    """With the nearest right one."""
    with pytest.raises(OptionError, match="did you mean 'raise'"), inline(app, failures="raises"):
        pass


def test_what_a_job_says_and_its_steps_are_there(app: Jobd) -> None:
    """As in production: a step that succeeded is not done again by the next attempt."""
    calls: list[int] = []

    @app.queue("q", attempts=2).task()
    def order(job: Job) -> str:
        job.log(f"attempt {job.attempt}")
        job.progress(0.5, "paid")
        receipt = job.once("charge", lambda: calls.append(1) or "receipt")  # type: ignore[func-returns-value]
        if job.attempt == 1:
            raise ConnectionError
        return receipt

    with inline(app, failures="record"):
        handle = order.enqueue()
        assert (handle.result(), calls) == ("receipt", [1])
        info = handle.info()
        assert [line.text for line in info.logs] == ["attempt 1", "attempt 2"]
        assert (handle.progress().text, info.steps) == ("paid", {"charge": "receipt"})


def test_hooks_are_called(app: Jobd) -> None:
    """Those of runs, and those of deaths before the error comes out."""
    heard: list[tuple[str, str, str | None]] = []

    def hear(event: JobEvent) -> None:
        heard.append((event.event, event.task, event.error))

    for name in ("started", "completed", "failed", "dead"):
        app.on(name)(hear)

    @app.queue("q").task()
    def work(fails: bool) -> None:
        if fails:
            raise ValueError("no")

    with inline(app):
        work.enqueue(False)
        with pytest.raises(ValueError, match="no"):
            work.enqueue(True)
    assert heard == [
        ("started", "work", None), ("completed", "work", None), ("started", "work", None),
        ("failed", "work", "ValueError: no"), ("dead", "work", "ValueError: no"),
    ]  # fmt: skip


def test_a_hook_that_raises_is_seen(app: Jobd) -> None:
    """Of runs as a warning, since it changes nothing; of a death as its job's error."""

    @app.on("completed")
    def completed(event: JobEvent) -> None:
        raise LookupError("seen")

    @app.on("dead")
    def dead(event: JobEvent) -> None:
        raise PermissionError("seen too")

    @app.queue("q").task()
    def work(fails: bool) -> None:
        assert not fails

    with inline(app):
        with pytest.warns(UserWarning, match="hook .*completed.*LookupError: seen"):
            assert work.enqueue(False).state() == "completed"
        with pytest.raises(PermissionError):
            work.enqueue(True)


def test_async_tasks_run_where_they_are_added(app: Jobd) -> None:
    """On the loop of who awaits the adding, so that what belongs to it may be used; else on their own."""
    q = app.queue("q")

    @q.task()
    async def work(n: int) -> tuple[int, int]:
        await asyncio.sleep(0)
        return n, id(asyncio.get_running_loop())

    async def add() -> None:
        mine = id(asyncio.get_running_loop())
        handle = await work.aenqueue(1)
        assert await handle.aresult() == [1, mine]
        n, other = await work.enqueue(2).aresult()
        assert (n, other == mine) == (2, False)

    with inline(app):
        assert work.enqueue(3).result()[0] == 3
        asyncio.run(add())


def test_async_tasks_fail_and_wait_as_others_do(app: Jobd) -> None:
    """What they raise comes out of the await, snoozes do not; the context is theirs too."""
    q = app.queue("q", attempts=3)

    @q.task()
    async def work(job: Job, what: str) -> int:
        paid = await job.aonce("charge", asyncio.sleep, 0, 7)
        if what == "snooze" and not job.snoozed:
            raise Snooze("1h")
        if what == "fail":
            raise LookupError(what)
        return int(paid)

    async def add() -> None:
        with pytest.raises(LookupError):
            await work.aenqueue("fail")
        handle = await work.aenqueue("snooze")
        assert handle.state() == "delayed"
        assert handle.run_now() == "completed"
        assert await handle.aresult() == 7

    with inline(app):
        asyncio.run(add())


def test_async_jobs_within_jobs_however_deep(app: Jobd) -> None:
    """Each waits for the next, and none for a thread."""

    @app.queue("q").task()
    async def down(n: int) -> int:
        return n and 1 + int(await (await down.aenqueue(n - 1)).aresult())

    with inline(app):
        assert asyncio.run(_result_of(down, 70)) == 70


async def _result_of(task: Any, n: int) -> int:
    return int(await (await task.aenqueue(n)).aresult())
