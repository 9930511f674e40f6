"""What people do to jobs by hand, on a real server: cancel, reschedule, retry, delete."""

from __future__ import annotations

import msgspec
import pytest
from support.policies import NOTHING
from support.servers import eventually

from jobd.broker.commands import Blame, Completed, Ending
from jobd.broker.connection import Client
from jobd.broker.new_job import NewJob
from jobd.broker.store import Store
from jobd.broker.views import JobInfo, Views
from jobd.client.operate import carry_out

LEASE = 30_000
NOW = 1_800_000_000_000
FIGURES = "noop|0|0|0"


def store(client: Client, now: int = NOW) -> Store:
    return Store(client, "t", "q", now=now)


def added(client: Client, *ids: str, due: str = "") -> None:
    store(client).add([NewJob(i, "noop", b"{}", due=due) for i in ids])


def claimed(client: Client, *ids: str) -> int:
    added(client, *ids)
    store(client).join("w.1", LEASE)
    return store(client).claim("w.1", LEASE, budget_us=50_000, costs=["noop", 10]).number


def died(client: Client, job_id: str = "a", keep_ms: int = 0) -> None:
    """Let a job fail twice, crash once, and be dead of it."""
    number = claimed(client, job_id)
    fields = {"failed": 2, "crashes": 1, "error": "no", "history": b'[{"kind":"failed"}]'}
    end = Ending("dead", job_id.encode(), number, FIGURES, keep_ms, "failed", fields)
    assert store(client).settle("w.1", LEASE, endings=[end]) == []


def info(client: Client, job_id: str = "a") -> JobInfo:
    found = Views(client, "t").info("q", job_id)
    assert found is not None
    return found


def test_each_of_many_gets_its_own_word(client: Client) -> None:
    """In the order that was asked, and only the cancellable are touched."""
    number = claimed(client, "done", "runs")
    store(client).settle("w.1", LEASE, completed=[Completed(b"done", number, FIGURES, b"")])
    added(client, "waits")
    added(client, "later", due="+9")

    words = store(client).cancel(["waits", "done", "later", "nobody", "runs"])

    assert words == ["cancelled", "completed", "cancelled", "gone", "asked"]
    counts = Views(client, "t").counts("q")
    assert (counts["cancelled"], counts["active"], counts["completed"]) == (2, 1, 1)
    assert client.hget("t:{q}:tally", "cancelled|noop") == b"2"
    assert not client.exists("t:{q}:job:nobody")


@pytest.mark.parametrize("way", ["hand_back", "reconcile", "release", "reap"])
def test_no_way_back_leads_to_another_run(client: Client, way: str) -> None:
    """What was cancelled while it ran ends wherever it would go back, with what it went through."""
    number = claimed(client, "a")
    assert store(client).cancel(["a"]) == ["asked"]
    if way == "hand_back":
        store(client).hand_back("w.1", [(b"a", number)])
    elif way == "reconcile":
        store(client).reconcile("w.1", [(b"a", number)])
    elif way == "release":
        store(client).release("w.1", [Blame("a", "crashes", b'{"kind":"crash"}')])
    else:
        assert store(client, NOW + LEASE).reap("w.1", str(NOW + LEASE))

    found = info(client)
    assert (found.state, found.cancel_asked_at) == ("cancelled", NOW)
    assert (found.crashes, found.lost) == (way == "release", way == "reap")
    assert client.zcard("t:{q}:waiting") == 0


@pytest.mark.parametrize("state", ["waiting", "active"])
def test_who_waits_for_the_end_is_told(client: Client, state: str) -> None:
    """Published once, by the script that makes it true."""
    number = claimed(client, "a") if state == "active" else 0
    added(client, "a")
    store(client).await_end("a", 60_000)
    pubsub = client.pubsub(ignore_subscribe_messages=True)
    pubsub.subscribe("t:{q}:awaited:a")
    pubsub.get_message(timeout=30)

    store(client).cancel(["a"])
    if number:
        end = Ending("retry", b"a", number, FIGURES, 99, "failed", {"failed": 1})
        store(client).settle("w.1", LEASE, endings=[end])

    told = pubsub.get_message(timeout=30)
    pubsub.close()
    assert told is not None
    assert told["data"] == b"1"


def test_a_retried_job_starts_anew_and_forgets_nothing(client: Client) -> None:
    """Counters are none, the history has them; a retention of its own is no longer waited for."""
    died(client, keep_ms=1000)

    assert store(client, NOW + 5).retry(["a", "nobody"]) == ["retried", "gone"]

    found = info(client)
    assert (found.state, found.failed, found.crashes) == ("waiting", 0, 0)
    assert (found.cause, found.error) == (None, None)
    assert [run["kind"] for run in found.history] == ["failed", "retried"]
    assert found.history[1] == {
        "kind": "retried", "at": NOW + 5, "was": "dead", "cause": "failed", "failed": 2, "crashes": 1,
    }  # fmt: skip
    trimmed = store(client, NOW + 10**9).trim(NOTHING).removed
    assert (trimmed, info(client).state) == (0, "waiting")
    assert store(client).claim("w.1", LEASE).jobs[0].more[b"history"]


def test_a_retried_job_stands_at_the_end_of_its_line(client: Client) -> None:
    """Those that came meanwhile are not made to wait for it."""
    died(client)
    added(client, "b")
    store(client).retry(["a"])
    assert Views(client, "t").jobs("q", "waiting") == ["b", "a"]


def test_what_was_cancelled_by_mistake_can_be_retried(client: Client) -> None:
    """Its priority and arguments are what they were."""
    store(client).add([NewJob("a", "noop", b'{"n":1}', priority=2)])
    store(client).cancel(["a"])
    assert store(client).retry(["a"]) == ["retried"]
    found = info(client)
    assert (found.state, found.priority, found.args) == ("waiting", 2, {"n": 1})
    assert found.cancel_asked_at is None


@pytest.mark.parametrize("record", ["none", "a list"])
def test_a_job_without_a_record_can_be_cancelled_and_retried(client: Client, record: str) -> None:
    """It is in one container all the same, and the next claim finds it out (I-01)."""
    added(client, "a")
    client.delete("t:{q}:job:a")
    if record == "a list":
        client.rpush("t:{q}:job:a", "x")

    assert store(client).cancel(["a"]) == ["cancelled"]
    assert client.exists("t:{q}:job:a")
    assert store(client).retry(["a"]) == ["retried"]
    store(client).join("w.1", LEASE)
    assert store(client).claim("w.1", LEASE).jobs == []
    assert info(client).cause == "corrupt"


def test_a_deleted_job_is_gone_and_its_id_is_remembered(client: Client) -> None:
    """Only what has ended; a late repeat of its add is no new job."""
    died(client)
    added(client, "waits")

    assert store(client).delete(["a", "waits"]) == ["deleted", "waiting"]

    assert not client.exists("t:{q}:job:a")
    assert store(client).add([NewJob("a", "noop", b"{}")]) == [False]


def test_an_idle_worker_learns_of_a_job_that_was_moved(client: Client) -> None:
    """It sleeps until the next due time it knows of."""
    added(client, "a", due="+60000")
    client.delete("t:{q}:wake")
    for due in ("+5", ""):
        store(client).reschedule(["a"], due)
        assert client.lpop("t:{q}:wake")


def test_a_moved_job_keeps_its_priority(client: Client) -> None:
    """And is as late as it was told to be."""
    store(client).add([NewJob("a", "noop", b"{}", priority=1), NewJob("b", "noop", b"{}")])
    assert store(client).reschedule(["a"], "+100") == ["delayed"]
    assert info(client).due_at == NOW + 100
    store(client).join("w.1", LEASE)
    claim = store(client, NOW + 100).claim("w.1", LEASE)
    assert [job.id for job in claim.jobs] == [b"a"]
    assert claim.jobs[0].more[b"due"] == str(NOW + 100).encode()


def test_an_order_ends_with_what_its_worker_holds(client: Client) -> None:
    """Also when the job was claimed again by the same worker."""
    number = claimed(client, "a")
    store(client).cancel(["a"], force=True)
    [order] = store(client).heed()
    assert msgspec.to_builtins(order) == {
        "job_id": "a", "word": "kill", "claim": number, "incarnation": "w.1",
    }  # fmt: skip
    store(client).hand_back("w.1", [(b"a", number)])
    store(client).retry(["a"])
    assert store(client).claim("w.1", LEASE).number > number

    assert store(client).heed() == []
    assert not client.exists("t:{q}:orders")


def test_many_running_jobs_of_many_workers_are_cancelled_in_bites(client: Client) -> None:
    """Who holds each is asked of every worker: no call may ask for too long, and none is left out."""
    workers, ids = 300, [f"j{i}" for i in range(40)]
    s = store(client)
    for number in range(workers):
        s.join(f"v.{number}", LEASE)
    added(client, *ids)
    s.join("w.1", LEASE)
    held = s.claim("w.1", LEASE, slots=40)

    assert s.cancel(ids).count("asked") == 2000 // (workers + 1)
    assert dict(carry_out("cancel", s, ids)) == dict.fromkeys(ids, "asked")
    assert {order.job_id for order in s.heed()} == set(ids)
    assert s.hand_back("w.1", [(job.id, held.number) for job in held.jobs])
    assert Views(client, "t").counts("q")["cancelled"] == 40


def test_purge_takes_what_is_in_the_state_that_was_named(client: Client) -> None:
    """And nothing that has left it since: for a worker's hands, an end, or another line."""
    number = claimed(client, "done", "runs")
    store(client).settle("w.1", LEASE, completed=[Completed(b"done", number, FIGURES, b"")])
    added(client, "waits")
    added(client, "later", due="+9")
    every = ["waits", "done", "later", "nobody", "runs"]

    words = store(client).purge("waiting", every)

    assert words == ["purged", "completed", "delayed", "gone", "active"]
    assert not client.exists("t:{q}:job:waits")
    assert client.hget("t:{q}:tally", "cancelled|noop") == b"1"
    assert store(client).purge("delayed", every) == [
        "gone",
        "completed",
        "purged",
        "gone",
        "active",
    ]
    assert store(client).purge("completed", ["done"]) == ["purged"]
    assert client.hget("t:{q}:tally", "cancelled|noop") == b"2"
    counts = Views(client, "t").counts("q")
    assert (sum(counts.values()), counts["active"]) == (1, 1)
    assert store(client).add([NewJob("waits", "noop", b"{}")]) == [False]


def test_who_waits_for_a_purged_job_is_told(client: Client) -> None:
    """It will not come to an end any more."""
    added(client, "a")
    store(client).await_end("a", 60_000)
    pubsub = client.pubsub(ignore_subscribe_messages=True)
    pubsub.subscribe("t:{q}:awaited:a")
    assert store(client).purge("waiting", ["a"]) == ["purged"]
    assert client.zscore("t:{q}:awaited", "a") is None
    eventually(lambda: pubsub.get_message(timeout=0.1))
    pubsub.close()
