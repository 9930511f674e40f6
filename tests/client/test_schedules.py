"""Schedules as an application writes them: decorators, and `queue.schedules`."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

from jobd import DeclarationError, Job, Jobd, NotSerializable, OptionError, PayloadTooLarge, Task
from jobd.core.errors import BrokerUnavailable


@pytest.fixture
def app(redis_url: str) -> Jobd:
    return Jobd(redis_url)


def test_a_task_stays_what_it_is_and_a_function_becomes_one() -> None:
    """Above @task, or alone; several on one task, each with a name."""
    reports = Jobd().queue("reports", priority=3)

    @reports.every("5m", name="often", args={"deep": True}, missed="skip")
    @reports.cron("0 9 * * *", tz="Europe/Berlin", attempts=3)
    @reports.task("digest", priority=2)
    def digest(job: Job, deep: bool = False) -> str:
        return job.id

    @reports.every(timedelta(hours=1))
    def tidy() -> int:
        return 7

    assert isinstance(digest, Task)
    assert isinstance(tidy, Task)
    assert tidy() == 7
    assert sorted(reports.tasks) == ["digest", "tidy"]
    found = reports.declared
    assert sorted(found) == ["digest", "often", "tidy"]
    daily, often = found["digest"], found["often"]
    assert (daily.task, daily.when, daily.priority) == ("digest", "0 9 * * * (Europe/Berlin)", 2)
    assert (daily.args, daily.missed, daily.options) == ("{}", "latest", '{"attempts":3}')
    assert (often.args, often.missed, often.every_ms) == ('{"deep":true}', "skip", 300_000)
    assert (found["tidy"].every_ms, found["tidy"].priority) == (3_600_000, 3)


def test_who_schedules_nothing_loads_nothing_for_it() -> None:
    """No reader of cron, no zones."""
    code = (
        "import sys; from jobd import Jobd; Jobd().queue('q'); "
        "print([m for m in ('cronsim', 'zoneinfo') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "[]"


def declared(queue: Any, what: str) -> None:
    """Declare something that cannot work."""
    match what:
        case "twice":
            queue.every("1m")(queue.every("2m")(queue.task()(plain)))
        case "above":
            queue.task("x")(queue.every("5m")(plain))
        case "stranger":
            queue.every("5m")(Jobd().queue("other").task()(plain))
        case "unknown":
            queue.every("5m", args={"n": 1})(queue.task()(plain))
        case "missing":
            queue.every("5m")(needs)
        case "cron":
            queue.cron("0 25 * * *")(plain)
        case "zone":
            queue.cron("0 9 * * *", tz="Berlin")(plain)
        case "option":
            queue.every("5m", attemps=3)(plain)


def plain() -> None: ...


def needs(user_id: int) -> None: ...


@pytest.mark.parametrize(
    ("what", "error", "said"),
    [
        ("twice", DeclarationError, "schedule 'plain': declared twice on queue 'q'; expected one a name"),
        ("above", DeclarationError, "task 'plain': @task above @cron or @every; expected it below"),
        ("stranger", DeclarationError, "task 'plain' belongs to queue 'other'"),
        ("unknown", DeclarationError, "unknown argument 'n'"),
        ("missing", DeclarationError, "missing user_id"),
        ("cron", OptionError, "schedule 'plain': cron: '0 25 * * *': hour '25'"),
        ("zone", OptionError, "did you mean 'Europe/Berlin'?"),
        ("option", OptionError, "unknown option 'attemps'"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_where_it_is_written(
    what: str, error: type[Exception], said: str
) -> None:
    """When the module is imported."""
    with pytest.raises(error) as refused:
        declared(Jobd().queue("q"), what)
    assert said in str(refused.value)


def test_put_get_list_pause_resume_run_remove(app: Jobd) -> None:
    """Every word is true."""
    q = app.queue("q", priority=4)
    put = q.schedules.put

    assert put("n", "t", {"n": 1}, cron="0 9 * * *", tz="Europe/Berlin", expires="1h") == "created"
    assert put("n", "t", {"n": 1}, cron="0 9 * * *", tz="Europe/Berlin", expires="1h") == "same"
    assert put("n", "t", {"n": 2}, cron="0 9 * * *", tz="Europe/Berlin", expires="1h") == "changed"
    assert put("m", q.task("known", priority=1)(needs), {"user_id": 1}, every="5m") == "created"
    info = q.schedules.get("n")
    assert info is not None
    assert (info.task, info.args, info.cron, info.tz) == (
        "t",
        {"n": 2},
        "0 9 * * *",
        "Europe/Berlin",
    )
    assert (info.origin, info.priority, info.expires, info.fired) == ("api", 4, 3600, 0)
    assert [(each.name, each.priority, each.every) for each in q.schedules.list()] == [
        ("m", 1, 300), ("n", 4, None),
    ]  # fmt: skip
    assert app.producer.views().queues() == ["q"]
    assert q.schedules.pause("n") == "paused"
    handle = q.schedules.run("n")
    assert (handle.outcome, handle.state()) == ("enqueued", "waiting")
    job = handle.info()
    assert job is not None
    assert (job.task, job.args, job.priority) == ("t", {"n": 2}, 4)
    assert job.expires_at == job.enqueued_at + 3_600_000  # type: ignore[operator]
    assert (q.schedules.resume("n"), q.schedules.resume("n")) == ("resumed", "running")
    assert (q.schedules.remove("n"), q.schedules.remove("n")) == ("removed", "gone")
    assert q.schedules.get("n") is None
    with pytest.raises(OptionError, match=r"schedule 'mm': not on queue 'q'; expected m"):
        q.schedules.run("mm")


def test_what_a_put_refuses(app: Jobd) -> None:
    """Before anything is sent."""
    put = app.queue("q").schedules.put
    with pytest.raises(OptionError, match="schedule 'n': unknown option 'job_id'"):
        put("n", "t", every="5m", job_id="x")
    with pytest.raises(NotSerializable, match="args 5; expected a dict"):
        put("n", "t", 5, every="5m")  # type: ignore[arg-type]
    with pytest.raises(NotSerializable):
        put("n", "t", {"x": object()}, every="5m")
    with pytest.raises(PayloadTooLarge):
        put("n", "t", {"x": "x" * 200_000}, every="5m")
    with pytest.raises(OptionError, match="task"):
        put("n", "no name", every="5m")
    with pytest.raises(BrokerUnavailable):
        Jobd("redis://127.0.0.1:1/0").queue("q").schedules.put("n", "t", every="5m")
