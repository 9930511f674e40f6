"""`jobd why JOB` on a real server: each state and reason, ids that are nowhere, and what is printed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobd import Jobd, Queue
from jobd.broker.commands import Blame, Completed, Ending
from jobd.broker.connection import run
from jobd.broker.store import Store
from jobd.cli.main import main

LEASE = 30_000


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str) -> None:
    """A directory without a file, and Redis named by the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOBD_REDIS_URL", redis_url)


@pytest.fixture
def q(redis_url: str) -> Queue:
    return Jobd(redis_url).queue("q")


@pytest.fixture
def store(q: Queue) -> Store:
    return q._producer.store("q")


Ask = Callable[..., Any]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run `jobd why ... --json`; give the words of its reasons, and when it starts."""

    def run(job_id: str, *arguments: str) -> tuple[str, list[str], str]:
        assert main(["why", job_id, *arguments, "--json"]) == 0, capsys.readouterr().err
        said = json.loads(capsys.readouterr().out)
        return said["state"], [each["word"] for each in said["reasons"]], said["when"]

    return run


def end(store: Store, verb: str, delay_ms: int = 0, cause: str = "failed", **fields: Any) -> str:
    """Claim the next job and let its run end so; give its id."""
    store.join("w.1", LEASE)
    claim = store.claim("w.1", LEASE)
    job = claim.jobs[0]
    ending = Ending(verb, job.id, claim.number, "t|0|0|0", delay_ms, cause, fields)
    assert store.settle("w.1", LEASE, endings=[ending]) == []
    return job.id.decode()


def test_waiting_with_nobody_to_run_it(ask: Ask, q: Queue) -> None:
    """The commonest of all questions."""
    job = q.add("t").id
    assert ask(job) == ("waiting", ["no_workers"], "not before that has changed: no_workers")


def test_waiting_behind_others(ask: Ask, q: Queue, store: Store) -> None:
    """With a worker that is idle, one that is busy, and a pace."""
    q.add_many([("t", {})] * 3)
    job = q.add("t").id
    store.join("w.1", LEASE)
    assert ask(job)[1] == ["line"]
    claim = store.claim("w.1", LEASE)
    q._producer.client.zadd("jobd:{q}:leases", {"vanished": 1})  # holds nothing, and is not idle
    state, words, when = ask(job)
    assert (state, words) == ("waiting", ["line", "busy"])
    assert when.startswith("unknown: nothing has ended")
    store.settle(
        "w.1", LEASE, completed=[Completed(claim.jobs[0].id, claim.number, "t|0|0|0", b"")]
    )
    assert ask(job)[2].startswith("about ")
    ids = [h.id for h in q.find("waiting")]
    assert ask(next(i for i in ids if ask(i)[1] == []))[2].startswith("now: it is the next")


def test_delays_of_all_kinds(ask: Ask, q: Queue, store: Store) -> None:
    """Asked for, a retry, a snooze, a name that nobody knows; each with an hour to go."""
    store.join("w.1", LEASE)
    assert ask(q.add("t", delay="1h").id)[:2] == ("delayed", ["delayed"])
    kinds = {
        "retry": {"failed": 1, "error": "E: x", "history": '[{"kind":"failed","error":"E: x"}]'},
        "snoozed": {"snoozed": 1, "error": "closed"},
        "unknown_task": {"parked": 1, "error": "no worker knows the task 't'; deploy"},
    }
    for word, fields in kinds.items():
        q.add("t", expires="3h")
        job = end(store, "retry", 3_600_000, **fields)
        assert ask(job)[:2] == ("delayed", [word, "expires"])


def test_a_worker_with_several_slots_is_idle_while_one_is_free(
    ask: Ask, q: Queue, store: Store
) -> None:
    """As it said itself when it joined."""
    run(q._producer.client, store.commands.join("w.1", LEASE, slots=2))
    q.add_many([("t", {})] * 2)
    third = q.add("t", priority=9).id
    store.claim("w.1", LEASE)
    assert ask(third)[1] == ["line"]
    store.claim("w.1", LEASE)
    assert ask(third)[1:] == (["busy"], "as soon as a slot is free: it is the next")


def test_what_a_queue_is_paused_by(ask: Ask, q: Queue, store: Store) -> None:
    """The whole of it, or one task of it; each until somebody resumes it."""
    store.join("w.1", LEASE)
    job, other = q.add("t").id, q.add("other", delay="1h").id
    q.pause(why="the provider is down")
    assert ask(job) == ("waiting", ["paused"], "not before that has changed: paused")
    assert ask(other)[1] == ["delayed", "paused"]
    q.resume()
    assert ask(job)[1] == []
    q.pause(task="t")
    assert ask(job)[:2] == ("waiting", ["task_paused"])
    store.claim("w.1", LEASE)  # which sets it aside
    assert ask(job)[:2] == ("delayed", ["task_paused"])
    assert ask(other)[1] == ["delayed"]
    q.resume(task="t")
    store.claim("w.1", LEASE)
    assert ask(job)[0] == "active"


def test_active_with_its_worker_and_its_claim(
    q: Queue, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """Then told to cancel, then without a lease, then closed."""
    job = q.add("t").id
    store.join("w.1", LEASE)
    number = store.claim("w.1", LEASE).number

    def said() -> str:
        assert main(["why", job]) == 0
        return capsys.readouterr().out

    assert "worker w.1 has it since 20" in said()
    assert f"by claim {number}" in said()
    q.job(job).cancel()
    assert f"-> `jobd jobs cancel --force {job}` ends its process" in said()
    q._producer.client.zadd("jobd:{q}:leases", {"w.1": 1})
    assert "nobody has renewed that worker's lease" in said()
    q._producer.client.zadd("jobd:{q}:leases", {"w.1": 0})
    assert "that worker has ended" in said()


def test_what_came_back_from_a_crash(ask: Ask, q: Queue, store: Store) -> None:
    """It waits again, and says why."""
    job = q.add("t").id
    store.join("w.1", LEASE)
    store.claim("w.1", LEASE)
    store.release("w.1", [Blame(job, "crashes", b'{"kind":"crash","at":1}')])
    assert ask(job)[:2] == ("waiting", ["came_back", "no_workers"])


def test_ends_of_all_kinds(ask: Ask, q: Queue, store: Store) -> None:
    """Dead, completed, cancelled."""
    for verb, state in (("dead", "dead"), ("done", "completed"), ("cancelled", "cancelled")):
        q.add("t")
        assert ask(end(store, verb))[:2] == (state, [state])


def test_an_id_that_is_nowhere(q: Queue, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Gone, elsewhere, never there, or in a queue that is none: each is told apart."""
    q._producer.views()
    job = q.add("t").id

    def said(*arguments: str) -> str:
        assert main(["why", *arguments]) == 66
        return capsys.readouterr().err

    assert "never added here, or it ended and was removed" in said("nobody")
    assert "it is in queue 'q': leave --queue out" in said(job, "--queue", "other")
    assert "no such queue; there are q" in said("nobody", "--queue", "other")
    assert "did you mean 'q'?" not in said("nobody", "--queue", "other")
    q.job(job).cancel()
    q.job(job).delete()
    assert "it ended within the last minute or two" in said(job)
    assert main(["why", "a b"]) == 64
    assert main(["why", "x", "--queue", "a b"]) == 64


def test_a_record_that_makes_no_sense_is_no_traceback(ask: Ask, q: Queue) -> None:
    """Whatever a stranger left there."""
    job = q.add("t").id
    client = q._producer.client
    client.hset("jobd:{q}:job:" + job, mapping={"history": "[", "failed": "x", "options": "7"})
    client.hset("jobd:{q}:meta", mapping={"paused": "soon", "rate_max": "inf"})
    assert ask(job)[0] == "waiting"
    client.hset("jobd:{q}:job:" + job, "history", "[7]")
    assert ask(job)[0] == "waiting"
    for i, end in enumerate((math.inf, -math.inf, 9e15, -9e15)):
        client.zadd("jobd:{q}:leases", {f"stranger.{i}": end})
    assert ask(job)[0] == "waiting"
