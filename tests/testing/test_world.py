"""`jobd.testing.world`: real scripts on a real server, and a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobd import (
    Exponential,
    Fixed,
    Job,
    Jobd,
    JobEvent,
    JobFailed,
    OptionError,
    ResultGone,
    ResultTimeout,
    Snooze,
    Throttle,
)
from jobd.testing import Unsettled, World, inline, recorded, world

START = datetime(2030, 1, 1, tzinfo=UTC)
Make = Callable[..., World]


@pytest.fixture
def app() -> Jobd:
    return Jobd("redis://127.0.0.1:1/0")


@pytest.fixture
def it(app: Jobd, redis_url: str) -> Iterator[World]:
    with world(app, start=START, url=redis_url) as made:
        yield made


def minutes(it: World, at: datetime | None = None) -> float:
    return ((at or it.now) - START) / timedelta(minutes=1)


def test_a_delayed_job_runs_when_it_is_due_and_not_before(app: Jobd, it: World) -> None:
    """To the millisecond."""

    @app.queue("q").task()
    def work(n: int) -> int:
        return n

    handle = work.using(delay="1h").enqueue(7)
    assert it.run() == []
    it.advance(3599.999)
    assert (it.run(), handle.state()) == ([], "delayed")
    it.advance("1ms")
    [ran] = it.run()
    assert (ran.task, ran.state, ran.at) == ("work", "completed", START + timedelta(hours=1))
    assert handle.result() == 7


def test_retries_take_their_time_and_all_of_it_settles(app: Jobd, it: World) -> None:
    """Two minutes, four, eight; the history says when."""
    q = app.queue("q", attempts=4, backoff=Exponential("2m", jitter=0))

    @q.task()
    def fails(job: Job) -> None:
        raise ValueError(f"attempt {job.attempt}")

    handle = fails.enqueue()
    ran = it.settle()

    assert [(each.at - START) / timedelta(minutes=1) for each in ran] == [0, 2, 6, 14]
    assert [each.state for each in ran] == ["delayed", "delayed", "delayed", "dead"]
    assert (ran[-1].cause, ran[-1].error) == ("failed", "ValueError: attempt 4")
    assert minutes(it) == 14
    info = handle.info()
    assert info is not None
    times = [round((run["at"] / 1000 - START.timestamp()) / 60) for run in info.history]
    assert times == [0, 2, 6, 14]
    with pytest.raises(JobFailed):
        handle.result()


def test_time_passes_step_by_step(app: Jobd, it: World) -> None:
    """`run_for` runs each when it is due; `advance` jumps over and `run` finds all at once."""
    at: list[float] = []

    @app.queue("q", attempts=2, backoff=Fixed("5m")).task()
    def work(job: Job, fails: bool = False) -> None:
        at.append(minutes(it))
        if fails and job.attempt == 1:
            raise ValueError

    for delay in (10, 20, 40):
        work.using(delay=f"{delay}m").enqueue(fails=delay == 20)
    it.run_for("30m")
    assert (at, minutes(it)) == ([10, 20, 25], 30)
    it.run_for("30m")
    assert (at, minutes(it)) == ([10, 20, 25, 40], 60)
    at.clear()
    for delay in (10, 20):
        work.using(delay=f"{delay}m").enqueue()
    it.advance("1h")
    it.run()
    assert at == [120, 120]


def test_order_is_the_queue_s(app: Jobd, it: World) -> None:
    """Priority, then the order of adding; what a job adds comes in between."""
    order: list[str] = []
    q = app.queue("q")

    @q.task()
    def work(name: str) -> None:
        order.append(name)
        if name == "b":
            work.using(priority=1).enqueue("urgent")

    for name, priority in (("a", 5), ("b", 5), ("c", 5), ("first", 1), ("last", 9)):
        work.using(priority=priority).enqueue(name)
    it.run()
    assert order == ["first", "a", "b", "urgent", "c", "last"]


def test_what_expires_is_dead(app: Jobd, it: World) -> None:
    """By the world's clock."""

    @app.queue("q").task()
    def work() -> None: ...

    late, early = work.using(expires="10m").enqueue(), work.using(expires="30m").enqueue()
    it.advance("20m")
    it.run()
    assert (late.state(), early.state()) == ("dead", "completed")
    info = late.info()
    assert info is not None
    assert info.cause == "expired"


def test_snoozes_and_unknown_names(app: Jobd, it: World) -> None:
    """A day of asking again; an hour of waiting for code that nobody deploys."""
    q = app.queue("q")

    @q.task()
    def asks(job: Job) -> int:
        if job.snoozed < 3:
            raise Snooze("8h")
        return job.snoozed

    handle, unknown = asks.enqueue(), q.add("nobody-knows")
    ran = it.settle()
    assert handle.result() == 3
    assert unknown.info().cause == "unknown_task"  # type: ignore[union-attr]
    assert [each.at for each in ran if each.task == "asks"][-1] == START + timedelta(days=1)


def test_retention_is_kept_too(app: Jobd, it: World) -> None:
    """A day for what went well, a week for the dead."""
    q = app.queue("q")

    @q.task()
    def work(fails: bool) -> None:
        assert not fails

    well, dead = work.enqueue(fails=False), work.enqueue(fails=True)
    it.run_for("23h")
    assert (well.state(), dead.state()) == ("completed", "dead")
    it.run_for("2h")
    assert (well.state(), dead.state()) == (None, "dead")
    with pytest.raises(ResultGone):
        well.result()
    it.run_for("7d")
    assert dead.state() is None


def test_verbs_and_finding_go_by_the_world_s_clock(app: Jobd, it: World) -> None:
    """Handles and queues speak to the private server."""
    q = app.queue("q")

    @q.task()
    def fails() -> None:
        raise ValueError

    handle = fails.enqueue()
    it.run()
    it.advance("2d")
    assert [h.id for h in q.find("dead", older_than="1d")] == [handle.id]
    assert list(q.find("dead", older_than="3d")) == []
    assert q.retry(handle) == {handle.id: "retried"}
    assert handle.reschedule("1h") == "delayed"
    why = handle.why()
    assert why is not None
    assert why.starts_at == (it.now + timedelta(hours=1)).timestamp() * 1000
    assert it.run() == []
    it.run_for("1h")
    assert handle.state() == "dead"
    it.added.assert_one(fails)


def test_who_waits_for_a_result_is_told_to_run(app: Jobd, it: World) -> None:
    """At once."""
    handle = app.queue("q").add("x")
    with pytest.raises(ResultTimeout, match=r"waiting; .*call run\(\) or settle\(\)"):
        handle.result()
    with pytest.raises(ResultTimeout):
        asyncio.run(handle.aresult())


def test_what_never_settles_is_said(app: Jobd, it: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the name of who goes on."""
    monkeypatch.setattr("jobd.testing.virtual.MOST", 50)

    @app.queue("q").task()
    def again() -> None:
        again.enqueue()

    again.enqueue()
    with pytest.raises(Unsettled, match=r"no end; .* again"):
        it.run()


def test_an_event_loop_runs_a_world(app: Jobd, it: World) -> None:
    """Beside it, while it stays free."""

    @app.queue("q").task()
    def work(n: int) -> int:
        return n

    async def live() -> list[Any]:
        handle = await work.using(delay="1h").aenqueue(7)
        await it.arun()
        await it.arun_for("30m")
        assert handle.state() == "delayed"
        await it.asettle()
        return [await handle.aresult()]

    assert asyncio.run(live()) == [7]


def test_two_worlds_on_one_server_are_strangers(redis_url: str) -> None:
    """Each has a namespace, and a clock."""
    apps = [Jobd("redis://127.0.0.1:1/0") for _ in range(2)]
    for app in apps:
        app.queue("q").task("work")(lambda: None)
    with world(apps[0], url=redis_url, start=START) as one, world(apps[1], url=redis_url) as two:
        apps[0].queue("q").add("work")
        one.advance("1d")
        assert two.run() == []
        assert len(one.run()) == 1
        assert one.now == START + timedelta(days=1)


def test_a_world_brings_its_server_when_there_is_none(app: Jobd) -> None:
    """And takes it away."""
    app.queue("q").task("work")(lambda: 7)
    with world(app) as made:
        handle = app.queue("q").add("work")
        made.run()
        assert handle.result() == 7
        assert abs(made.now - datetime.now(UTC)) < timedelta(minutes=1)
    with pytest.raises(Exception, match="cannot be reached"):
        app.queue("q").add("work")


@pytest.mark.parametrize("way", [recorded, inline, world])
def test_what_is_no_app_is_refused(app: Jobd, way: Callable[..., Any]) -> None:
    """A queue of it, for one; before anything is started."""
    with pytest.raises(TypeError, match=r"<Queue q: 0 tasks>; expected the jobd\.Jobd"):
        way(app.queue("q")).__enter__()


def test_time_goes_forward(app: Jobd, it: World) -> None:
    """And has a zone."""
    with pytest.raises(OptionError, match="not below zero"):
        it.advance(-1)
    with pytest.raises(OptionError, match="time zone"), world(app, start="2030"):  # type: ignore[arg-type]
        pass
    with pytest.raises(OptionError, match="time zone"), world(app, start=datetime(2030, 1, 1)):  # noqa: DTZ001
        pass


def test_schedules_fire_on_the_way(app: Jobd, redis_url: str) -> None:
    """Each at its slot, in its zone, over the change of the clocks."""
    reports = app.queue("reports")

    @reports.cron("0 9 * * *", tz="Europe/Berlin")
    def digest() -> None: ...

    @reports.task()
    def slow() -> None:
        raise Snooze("30h")

    with world(app, url=redis_url, start=datetime(2030, 3, 29, 12, tzinfo=UTC)) as it:
        ran = it.run_for("3d")
        assert [each.at.isoformat() for each in ran] == [
            "2030-03-30T08:00:00+00:00", "2030-03-31T07:00:00+00:00", "2030-04-01T07:00:00+00:00",
        ]  # fmt: skip
        assert {each.state for each in ran} == {"completed"}
        it.advance("3d")  # no daemon runs meanwhile, and one job stands for all that was missed
        assert [each.task for each in it.run()] == ["digest"]
        assert reports.schedules.pause("digest") == "paused"
        assert it.run_for("2d") == []


def test_a_world_with_schedules_settles(app: Jobd, redis_url: str) -> None:
    """They fire while something else is left to do, and then no more."""
    q = app.queue("q")

    @q.every("1h")
    def tick() -> None: ...

    @q.task()
    def work(job: Job) -> None:
        if not job.snoozed:
            raise Snooze("150m")

    with world(app, url=redis_url, start=START) as it:
        assert it.settle() == []
        work.enqueue()
        ran = [(each.task, minutes(it, each.at)) for each in it.settle()]
    assert ran == [("work", 0), ("tick", 60), ("tick", 120), ("work", 150)]


def test_limits_pauses_and_waits_hold_in_a_world_too(app: Jobd, it: World) -> None:
    """By its clock: what may run at once, and what has to wait for how long."""
    slow = app.queue("slow", rate_limit={"max": 2, "per": "1m"})

    @slow.task()
    def call(busy: bool = False) -> None:
        if busy and len(starts) < 1:
            starts.append(it.now)
            raise Throttle("1h")

    starts: list[datetime] = []
    slow.add_many([("call", {})] * 5)
    began = it.now
    assert [round((ran.at - began).total_seconds()) for ran in it.settle()] == [0, 0, 60, 60, 120]
    assert slow.pause()
    call.enqueue()
    assert it.run_for("5m") == []
    assert slow.flow().is_paused
    assert asyncio.run(slow.aresume())
    assert [ran.state for ran in it.run()] == ["completed"]
    call.enqueue(busy=True)
    assert [ran.state for ran in it.run()] == ["waiting"]
    assert slow.flow().throttled_until == round(it.now.timestamp() * 1000) + 3_600_000
    assert [ran.state for ran in it.settle()] == ["completed"]
    assert (it.now - starts[0]).total_seconds() == 3600


def test_what_a_job_says_and_its_steps_are_recorded(app: Jobd) -> None:
    """By the scripts that a worker calls."""
    calls: list[int] = []

    @app.queue("q", attempts=2).task()
    def order(job: Job) -> str:
        job.log(f"attempt {job.attempt}")
        receipt = job.once("charge", lambda: calls.append(1) or "receipt")  # type: ignore[func-returns-value]
        if job.attempt == 1:
            raise ConnectionError
        return receipt

    with world(app) as shop:
        handle = order.enqueue()
        shop.settle()
        assert (handle.result(), calls) == ("receipt", [1])
        assert [line.text for line in handle.info().logs] == ["attempt 1", "attempt 2"]


def test_hooks_of_deaths_are_jobs(app: Jobd, it: World) -> None:
    """As in production: added by the script that buries, tried again when they fail."""
    heard: list[tuple[str, str | None]] = []

    @app.on("dead")
    def dead(event: JobEvent) -> None:
        heard.append((event.task, event.cause))
        if len(heard) == 1:
            raise ConnectionError

    @app.queue("q").task()
    def work() -> None:
        raise ValueError

    work.enqueue()
    ran = [(each.task, each.state) for each in it.settle()]
    assert ran == [("work", "dead"), ("jobd.on.dead", "delayed"), ("jobd.on.dead", "completed")]
    assert heard == [("work", "failed")] * 2


def test_what_is_paused_is_not_waited_for(app: Jobd, it: World) -> None:
    """A due job of a paused queue neither runs nor keeps a world from settling."""
    q = app.queue("q")

    @q.task()
    def work() -> None: ...

    handles = [work.enqueue(), work.using(delay="1h").enqueue()]
    q.pause()
    it.advance("2h")
    assert (it.run(), it.settle(), it.run_for("1h")) == ([], [], [])
    assert [handle.state() for handle in handles] == ["waiting", "delayed"]
    q.resume()
    assert len(it.settle()) == 2


def test_async_tasks_run_on_the_loop_that_awaits_the_world(app: Jobd, it: World) -> None:
    """Beside sync ones of their queue, each in its turn; without a loop on one of their own."""
    q = app.queue("q", attempts=2, backoff=Fixed("1h"))
    loops: list[int] = []

    @q.task()
    async def work(job: Job) -> int:
        loops.append(id(asyncio.get_running_loop()))
        await asyncio.sleep(0)
        if job.attempt == 1:
            raise ValueError
        return job.attempt

    @q.task()
    def plain() -> None: ...

    async def live() -> tuple[int, int]:
        handle = await work.aenqueue()
        await plain.aenqueue()
        assert [ran.task for ran in await it.asettle()] == ["work", "plain", "work"]
        return await handle.aresult(), id(asyncio.get_running_loop())

    result, mine = asyncio.run(live())
    assert (result, loops) == (2, [mine, mine])
    handle = work.enqueue()
    it.settle()
    assert handle.result() == 2
