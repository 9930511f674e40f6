"""`jobd queues pause|resume`, and how a queue that is held back is shown."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobd import Jobd, OptionError, Queue
from jobd.cli.main import main
from jobd.core.limits import Limits

Say = Callable[..., str]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str) -> None:
    """A directory without a file, and Redis named by the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOBD_REDIS_URL", redis_url)


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Run `jobd ...`; give what it printed, stderr last."""

    def run(*arguments: str, code: int = 0) -> str:
        assert main(list(arguments)) == code
        return "".join(capsys.readouterr())

    return run


@pytest.fixture
def q(redis_url: str) -> Queue:
    queue = Jobd(redis_url).queue("email")
    queue.add("welcome-email", {})
    return queue


def test_queues_are_paused_and_resumed_by_name(say: Say, q: Queue, redis_url: str) -> None:
    """Several at once; again is no error, and said so."""
    Jobd(redis_url).queue("reports").add("digest", {})
    done = json.loads(say("queues", "pause", "email", "reports", "--why", "a deploy", "--json"))
    assert done == [
        {"queue": "email", "task": None, "outcome": "paused"},
        {"queue": "reports", "task": None, "outcome": "paused"},
    ]
    assert say("queues", "pause", "email", "--why", "a deploy") == "paused already  email\n"
    assert "a deploy" in say("queues", "list")
    assert "paused for" in say("status")
    listed = json.loads(say("queues", "list", "--json"))
    assert [queue["flow"]["paused_why"] for queue in listed] == ["a deploy", "a deploy"]
    assert json.loads(say("status", "--json"))["flow"]["email"]["paused_at"]
    assert say("queues", "resume", "email", "reports") == "resumed  email\nresumed  reports\n"
    assert say("queues", "resume", "email") == "running already  email\n"
    assert "paused" not in say("queues", "list")


def test_a_name_that_no_queue_has_is_refused_before_anything_is_done(say: Say, q: Queue) -> None:
    """With the nearest."""
    said = say("queues", "pause", "email", "emial", code=66)
    assert "queue 'emial': not known" in said
    assert "did you mean 'email'?" in said
    assert not q.flow().is_paused
    say("queues", "pause", code=64)
    say("queues", "pause", "a b", code=64)
    say("queues", "pause", "email", "--task", "a b", code=64)
    say("queues", "pause", "email", "--why", "x" * 201, code=64)


def test_a_task_is_paused_by_name_and_a_name_nobody_has_run_is_warned_of(
    say: Say, q: Queue
) -> None:
    """It may be declared elsewhere, or tomorrow; a typing error is named."""
    client = q._producer.client
    client.hset("jobd:{email}:tally", "completed|welcome-email", "3")
    assert say("queues", "pause", "email", "--task", "welcome-email") == (
        "paused  email task welcome-email\n"
    )
    said = say("queues", "pause", "email", "--task", "welcome-mail")
    assert "warning: no job of task 'welcome-mail' has ended" in said
    assert "did you mean 'welcome-email'?" in said
    store = q._producer.store("email")
    store.join("w.1", 30_000, limits=Limits(rate_max=5, rate_ms=60_000, max_active=2))
    assert store.claim("w.1", 30_000).jobs == []
    assert "its task is paused" in say("jobs", "list")
    listed = say("queues", "list")
    assert "paused tasks: welcome-email, welcome-mail" in listed
    assert "rate limit 5 per 1m; at most 2 active" in listed
    assert say("queues", "resume", "email", "--task", "welcome-email") == (
        "resumed  email task welcome-email\n"
    )
    assert q._producer.views().counts("email")["waiting"] == 1


def test_a_limit_that_is_used_up_says_for_how_long(say: Say, q: Queue) -> None:
    """As the worker is told it."""
    store = q._producer.store("email")
    store.join("w.1", 30_000, limits=Limits(rate_max=1, rate_ms=60_000))
    assert len(store.claim("w.1", 30_000).jobs) == 1
    q.add("welcome-email", {})
    flow = q.flow()
    assert (flow.rate_used, flow.rate_free_at) == (1, store.claim("w.1", 30_000).again_at)
    assert "rate limit 1 per 1m, used up for 1m" in say("queues", "list")


def test_the_same_from_a_program(q: Queue) -> None:
    """Blocking and not; bad names and reasons are refused."""

    async def there_and_back() -> list[bool]:
        said = [
            await q.apause(why="x"),
            await q.apause(),
            await q.aresume(),
            await q.apause(task="t"),
            await q.aresume(task="t"),
            await q.aresume(task="t"),
        ]
        await q._producer.async_client.aclose()
        return said

    assert asyncio.run(there_and_back()) == [True, False, True, True, True, False]
    assert [q.pause(), q.pause(), q.resume(), q.resume()] == [True, False, True, False]
    calls: list[Callable[[], Any]] = [
        lambda: q.pause(task="a b"),
        lambda: q.resume(task=""),
        lambda: q.pause(why="x" * 201),
        lambda: [q.pause(task=f"t{i}") for i in range(101)],
    ]
    for call in calls:
        with pytest.raises(OptionError):
            call()
