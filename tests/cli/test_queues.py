"""`jobd queues drain|purge`: what they wait for, what they remove, and what they never do by mistake."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.inline import new_page, working
from support.servers import eventually

from jobd import Jobd, Queue
from jobd.broker.store import store_ms
from jobd.cli.main import main
from jobd.seams import clock


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str) -> None:
    """A directory without a file, and Redis named by the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOBD_REDIS_URL", redis_url)


Ask = Callable[..., Any]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run `jobd queues ... --json`; give what it printed."""

    def run(*arguments: str, code: int = 0) -> Any:
        assert main(["queues", *arguments, "--json"]) == code, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def app(redis_url: str) -> Jobd:
    return Jobd(redis_url)


@pytest.fixture
def q(app: Jobd) -> Queue:
    return app.queue("q")


def counts(q: Queue) -> dict[str, int]:
    return {state: n for state, n in q._producer.views().counts("q").items() if n}


def claim(q: Queue) -> None:
    store = q._producer.store("q")
    store.join("w.1", 30_000)
    assert len(store.claim("w.1", 30_000).jobs) == 1


def test_purge_removes_what_waits_and_leaves_the_rest(ask: Ask, q: Queue) -> None:
    """More than a page and more than a bite; what runs goes on, what has ended stays."""
    q.add_many([("t", {"i": i}) for i in range(1200)])
    claim(q)
    q.add_many([("t", {}, {"delay": "1h"}) for _ in range(60)])
    q.cancel([h.id for h, _ in zip(q.find("waiting"), range(2), strict=False)])

    dry = ask("purge", "q", "--dry-run")
    assert (dry["there"], dry["counts"]) == ({"waiting": 1197, "delayed": 60}, {})
    done = ask("purge", "q", "--yes")

    assert done["counts"] == {"purged": 1257}
    assert counts(q) == {"active": 1, "cancelled": 2}
    assert ask("purge", "q", "--state", "cancelled", "--yes")["counts"] == {"purged": 2}
    assert ask("purge", "q", "--yes")["counts"] == {}
    assert counts(q) == {"active": 1}


def test_purge_asks_for_the_name(
    q: Queue, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is somebody to ask; it says what it would remove."""
    q.add("t")
    assert main(["queues", "purge", "q"]) == 64
    assert "expected --yes where nobody can be asked" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    for typed, code in (("Q", 64), ("q", 0)):
        monkeypatch.setattr("click.prompt", lambda *a, typed=typed, **k: typed)
        assert main(["queues", "purge", "q"]) == code
        said = capsys.readouterr()
        assert "This removes 1 waiting jobs of queue 'q', for good." in said.err
        assert ("nothing was removed" in said.err) == (code == 64)
        assert counts(q) == ({"waiting": 1} if code else {})
    assert said.out == "purge: 1 removed\n"


def test_purge_leaves_alone_what_is_added_while_somebody_thinks(
    q: Queue, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    q.add("t")
    client = q._producer.client

    def type_it(*_args: object, **_options: object) -> str:
        now = store_ms(client)
        eventually(lambda: store_ms(client) > now)
        q.add("t")
        q.add("t", delay="1h")
        return "q"

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("click.prompt", type_it)
    assert main(["queues", "purge", "q"]) == 0
    assert capsys.readouterr().out == "purge: 1 removed\n"
    assert counts(q) == {"waiting": 1, "delayed": 1}


@pytest.mark.parametrize("verb", ["purge", "drain"])
def test_a_queue_that_is_none_is_named(
    verb: str, app: Jobd, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the nearest that is one."""
    assert main(["queues", verb, "email"]) == 66
    assert "there is none yet" in capsys.readouterr().err
    app.queue("email").add("t")
    assert main(["queues", verb, "emial"]) == 66
    assert "expected one of email; did you mean 'email'?" in capsys.readouterr().err
    assert main(["queues", verb, "a b"]) == 64


def test_drain_waits_for_what_waits_and_what_runs(
    ask: Ask, app: Jobd, q: Queue, tmp_path: Path
) -> None:
    """With a worker at work; then it says how long it took."""
    go = threading.Event()

    @q.task()
    def work(n: int) -> None:
        go.wait(60)

    q.add_many([("work", {"n": n}) for n in range(3)])
    q.add("work", {"n": 9}, delay="1h")
    done: list[Any] = []
    with working(app, q, new_page(tmp_path)):
        waiting = threading.Thread(target=lambda: done.append(ask("drain", "q")))
        waiting.start()
        eventually(lambda: counts(q).get("active"))
        assert waiting.is_alive()
        go.set()
        waiting.join(60)
    assert done[0]["drained"] is True
    assert done[0]["jobs"]["completed"] == 3
    assert done[0]["jobs"]["delayed"] == 1


def test_drain_gives_up_in_time_and_says_what_is_in_the_way(
    q: Queue, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody should wait unawares for a queue that nobody serves."""
    q.add("t")
    began = clock.mono()
    assert main(["queues", "drain", "q", "--timeout", "0.3"]) == 75
    assert clock.mono() - began >= 0.3
    said = capsys.readouterr().err
    assert "drain: no worker serves queue 'q'; start `jobd run`" in said
    assert "drain: 1 waiting in queue 'q' after" in said
    assert main(["queues", "drain", "q", "--timeout", "soon"]) == 64


def test_drain_of_delayed_jobs_is_asked_for(ask: Ask, q: Queue) -> None:
    """Else they are named as left."""
    q.add("t", delay="1h")
    assert ask("drain", "q")["drained"] is True
    assert ask("drain", "q", "--delayed", "--timeout", "0", code=75)["drained"] is False
