"""What scripts count, on every server: each thing once, and nothing without a bound."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.policies import NOTHING
from support.tallied import LEASE, a_store, ended, gone_down, ran, scraped, shares

from jobd.broker.commands import Blame, Completed
from jobd.broker.connection import Client, connect, run
from jobd.broker.new_job import NewJob
from jobd.broker.store import Store, store_ms
from jobd.core.tally import OTHER
from jobd.web.metrics import Metrics


@pytest.fixture
def metrics(client: Client, tmp_path: Path) -> Metrics:
    return Metrics(client, "t", tmp_path)


def test_a_lease_that_expired_counts_once(client: Client, metrics: Metrics) -> None:
    """However many bites its reaping takes and however many hosts reap; a closed one never."""
    store = a_store(client)
    for name in ("gone.1", "gone.2", "closed.1"):
        store.add([NewJob(f"{name}-{n}", "t", b"{}") for n in range(5)])
        store.join(name, LEASE)
        assert len(store.claim(name, LEASE, slots=5).jobs) == 5
    client.zadd("t:{q}:leases", {"gone.1": 1, "gone.2": 2})
    for name, seen in (("gone.1", "1"), ("gone.2", "2")):
        bite = store.commands.reap(name, seen, limit=2)
        assert run(client, bite) == [b"more"]
        assert store.reap(name, "0")
        assert store.reap(name, seen)
    store.release("closed.1", [Blame("closed.1-0", "crashes", b"{}")])
    found = scraped(metrics)
    assert found.value("jobd_leases_expired_total", queue="q") == 2
    outcomes = found.by("jobd_jobs_total", "outcome")
    assert (outcomes["lost",], outcomes["crashed",]) == (10, 1)


def test_a_record_that_cannot_be_read_counts_as_dead(client: Client, metrics: Metrics) -> None:
    """Found out by a claim: the only death that no settle writes."""
    store = a_store(client)
    client.zadd("t:{q}:waiting", {"ghost": 5})
    store.join("n.1", LEASE)
    assert store.claim("n.1", LEASE).jobs == []
    found = scraped(metrics)
    assert found.value("jobd_jobs_total", queue="q", task="?", outcome="dead") == 1
    assert found.value("jobd_queue_jobs", queue="q", state="dead") == 1


def test_nothing_that_an_operator_does_takes_from_a_counter(
    client: Client, metrics: Metrics
) -> None:
    """Purged, retried, deleted, trimmed: the counters stand, and go on from there."""
    store = a_store(client)
    ran(store, "a", ended("dead", "b", "failed"), ended("dead", "c", "failed"))
    store.add([NewJob("d", "t", b"{}"), NewJob("e", "t", b"{}", due="+60000")])
    before = scraped(metrics).counters()

    def grew(**by: float) -> None:
        nonlocal before
        after = scraped(metrics).counters()
        assert {k: v - before.get(k, 0) for k, v in after.items() if v != before.get(k, 0)} == {
            ("jobd_jobs_total", (("outcome", outcome), ("queue", "q"), ("task", "t"))): n
            for outcome, n in by.items()
        }
        assert before.keys() <= after.keys()
        before = after

    store.purge("waiting", ["d"])
    store.purge("delayed", ["e"])
    grew(cancelled=2)
    store.purge("completed", ["a"])
    store.delete(["b"])
    assert store.retry(["c"]) == ["retried"]
    grew()
    claim = store.claim("n.1", LEASE)
    store.settle("n.1", LEASE, completed=[Completed(b"c", claim.number, "t|||", b"")])
    grew(completed=1)
    later = Store(client, "t", "q", now=store_ms(client) + 10**11)
    assert later.trim(NOTHING).removed == 1
    assert scraped(metrics).by("jobd_queue_jobs", "queue") == {("q",): 0}
    grew()


def test_where_redis_has_lost_its_data_counters_begin_anew(
    client: Client, metrics: Metrics
) -> None:
    """A reset, as Prometheus knows them; the series are given again."""
    ran(a_store(client), "a", "b")
    assert shares(scraped(metrics)) == {("t", "completed"): 2}
    client.flushall()
    assert shares(scraped(metrics)) == {}
    ran(a_store(client), "c")
    assert shares(scraped(metrics)) == {("t", "completed"): 1}


def test_a_task_keeps_its_series_and_the_rest_is_counted_together(
    client: Client, tmp_path: Path
) -> None:
    """The same for every host, whichever tasks become the busiest later."""
    store = a_store(client)
    for at, task in enumerate(("a", "b", "c", "d", "e")):
        ran(store, *(f"{task}{n}" for n in range(5 - at)), task=task)
    hosts = [Metrics(client, "t", tmp_path, most_tasks=3) for _ in range(2)]
    first, second = map(scraped, hosts)
    assert first.counters() == second.counters()
    completed = {(task, "completed"): n for task, n in zip("abc", (5.0, 4.0, 3.0), strict=True)}
    assert shares(first) == completed | {(OTHER, "completed"): 3.0}

    ran(store, *(f"more{n}" for n in range(50)), task="e")
    ran(store, "new", task="f")
    later = scraped(hosts[1])
    assert shares(later) == completed | {(OTHER, "completed"): 54.0}
    assert later.by("jobd_job_run_seconds_count", "task")[OTHER,] == 54
    assert not gone_down(first, later)


def test_a_task_that_cannot_be_written_down_is_left_out_for_now(
    client: Client, tmp_path: Path
) -> None:
    """Counted under another label meanwhile it would take its count from there later."""
    ran(a_store(client), "a")
    metrics = Metrics(client, "t", tmp_path)
    client.acl_setuser("reader", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-hset"])
    try:
        settings = client.connection_pool.connection_kwargs
        url = f"unix://reader:x@{settings['path']}"
        reading = connect(url)
        found = scraped(Metrics(reading, "t", tmp_path))
        assert found.by("jobd_jobs_total", "task") == {}
        assert found.value("jobd_redis_up") == 1
        reading.close()
    finally:
        client.acl_deluser("reader")
    assert scraped(metrics).by("jobd_jobs_total", "task")["t",] == 1


def test_names_that_no_worker_knows_do_not_make_a_tally_grow_without_end(client: Client) -> None:
    """Whoever adds and cancels under ever new names is counted, but not by name."""
    store = a_store(client)
    client.hset("t:{q}:tally", mapping={f"completed|t{n}": 1 for n in range(32768)})
    store.add([NewJob("x", "t0", b"{}", due="+9999"), NewJob("y", "new", b"{}", due="+9999")])
    assert store.cancel(["x", "y"]) == ["cancelled", "cancelled"]
    assert client.hget("t:{q}:tally", "cancelled|?") == b"2"
    assert not client.hexists("t:{q}:tally", "cancelled|new")
