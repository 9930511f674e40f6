"""What Prometheus is told, beside the truth."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from support.daemons import eventually
from support.expositions import Exposition

from jobd.broker.commands import Blame, Completed, Ending
from jobd.broker.connection import Client, connect, run
from jobd.broker.new_job import NewJob
from jobd.broker.store import Store, register_queues
from jobd.core.tally import OTHER
from jobd.web.metrics import CONTENT_TYPE, Metrics
from jobd.web.metrics_table import METRICS

LEASE = 30_000
FAST = ("t", 10)
# PRODUCT's names; labels where it says which.
PROMISED = {
    "jobd_queue_jobs": ("queue", "state"),
    "jobd_queue_waiting": ("queue",),
    "jobd_queue_oldest_seconds": ("queue",),
    "jobd_jobs_total": ("queue", "task", "outcome"),
    "jobd_job_wait_seconds": ("queue", "task"),
    "jobd_job_run_seconds": ("queue", "task"),
    "jobd_job_total_seconds": ("queue", "task"),
    "jobd_workers": ("queue", "phase"),
    "jobd_worker_memory_bytes": ("queue", "slot"),
    "jobd_worker_restarts_total": ("queue", "cause"),
    "jobd_leases_expired_total": ("queue",),
    "jobd_redis_memory_bytes": (),
    "jobd_alerts_firing": ("rule",),
}


@pytest.fixture
def metrics(client: Client, tmp_path: Path) -> Metrics:
    return Metrics(client, "t", tmp_path)


def scraped(metrics: Metrics) -> Exposition:
    """Scrape once; the laws hold at every one."""
    found = Exposition(metrics.exposition())
    assert not found.broken_laws()
    return found


def a_store(client: Client, queue: str = "q") -> Store:
    register_queues(client, "t", [queue])
    return Store(client, "t", queue)


def ran(store: Store, *ends: Ending | str, task: str = "t", figures: str = "5|6|7") -> None:
    """Add, claim and settle jobs: a word is the id of one that completes, else it ends so."""
    ids = [end if isinstance(end, str) else end.id.decode() for end in ends]
    store.add([NewJob(job, task, b"{}") for job in ids])
    store.join("n.1", LEASE)
    claim = store.claim("n.1", LEASE, budget_us=50_000, costs=(task, 10))
    store.settle(
        "n.1",
        LEASE,
        completed=[
            Completed(e.encode(), claim.number, f"{task}|{figures}", b"")
            for e in ends
            if isinstance(e, str)
        ],
        endings=[replace(e, claim=claim.number) for e in ends if isinstance(e, Ending)],
    )


def ended(verb: str, job: str, cause: str, task: str = "t", figures: str = "5|6|7") -> Ending:
    return Ending(verb, job.encode(), 0, f"{task}|{figures}", 0, cause, {"failed": 1})


# --- names ---


def test_the_table_has_every_promised_name_with_its_labels() -> None:
    """PRODUCT 5."""
    assert {name: METRICS[name].labels for name in PROMISED} == PROMISED


def test_every_help_says_how_hosts_are_put_together() -> None:
    """The same everywhere: max; of one host: sum."""
    for metric in METRICS.values():
        assert metric.text.endswith(("Same on all hosts: use max.", "Of this host: use sum.")), (
            metric
        )


def everything(client: Client, tmp_path: Path) -> Metrics:
    """A namespace and a host in which every metric has something to say."""
    store = a_store(client)
    ran(store, "a", ended("dead", "b", "failed"), ended("retry", "c", "failed"))
    return Metrics(client, "t", tmp_path, firing=lambda: {"email backlog": 1})


def test_promtool_finds_nothing(client: Client, tmp_path: Path) -> None:
    """The linter of Prometheus itself."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool here: it comes with Debian's package prometheus")
    checked = subprocess.run(
        [promtool, "check", "metrics"],
        input=everything(client, tmp_path).exposition(), capture_output=True, check=False,
    )  # fmt: skip
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_open_metrics_is_spoken_to_who_asks_for_it(client: Client, tmp_path: Path) -> None:
    """The same figures in the other format; the plain one for everybody else."""
    metrics = everything(client, tmp_path)
    body, kind = metrics.answer("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    families = {family.name: family for family in open_metrics(body.decode())}
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    assert families["jobd_jobs"].type == "counter"
    assert metrics.answer("*/*")[1] == CONTENT_TYPE
    plain = scraped(metrics)
    assert {s.value for s in families["jobd_jobs"].samples} == {
        value for (name, _), value in plain.values.items() if name == "jobd_jobs_total"
    }


# --- what is counted ---


def test_states_are_the_containers(client: Client, metrics: Metrics) -> None:
    """And what waits is what is due, late delayed ones too."""
    store = a_store(client)
    ran(store, "done", ended("dead", "died", "failed"))
    store.add([NewJob("w1", "t", b"{}"), NewJob("w2", "t", b"{}"), NewJob("held", "t", b"{}")])
    store.claim("n.1", LEASE, slots=1, limit=1)
    store.add([NewJob("later", "t", b"{}", due="+60000"), NewJob("never", "t", b"{}", due="+9")])
    store.cancel(["never"])
    client.zadd("t:{q}:delayed", {"late": 1})
    found = scraped(metrics)
    assert found.by("jobd_queue_jobs", "state") == {
        ("waiting",): 2, ("delayed",): 2, ("active",): 1,
        ("completed",): 1, ("dead",): 1, ("cancelled",): 1,
    }  # fmt: skip
    assert found.value("jobd_queue_waiting", queue="q") == 3
    assert found.value("jobd_queue_oldest_seconds", queue="q") > 1e9
    assert found.value("jobd_queue_workers", queue="q") == 1
    assert found.value("jobd_queue_paused", queue="q") == 0
    store.pause()
    assert scraped(metrics).value("jobd_queue_paused", queue="q") == 1


def test_outcomes_and_spans_are_by_task(client: Client, metrics: Metrics) -> None:
    """Each run once; what was no run is in no histogram, and what was longest in +Inf alone."""
    store = a_store(client)
    ran(store, "a", "b", task="one", figures="3|0|4")
    ran(store, ended("retry", "c", "failed", "two", "24|24|24"))
    ran(store, ended("dead", "d", "expired", "two", "||"))
    found = scraped(metrics)
    assert found.by("jobd_jobs_total", "task", "outcome") == {
        ("one", "completed"): 2, ("one", "dead"): 0, ("one", "failed"): 0,
        ("two", "completed"): 0, ("two", "dead"): 1, ("two", "failed"): 1,
    }  # fmt: skip
    for name in ("wait", "run", "total"):
        counted = found.by(f"jobd_job_{name}_seconds_count", "task")
        assert counted == {("one",): 2, ("two",): 1}

    def buckets(name: str, task: str) -> dict[str, float]:
        of = found.by(f"jobd_job_{name}_seconds_bucket", "task", "le")
        return {le: n for (which, le), n in of.items() if which == task}

    # 2^3 ms is in the next bucket that is shown, 2^4.
    assert buckets("wait", "one")["0.004"] == 0
    assert buckets("wait", "one")["0.016"] == 2
    assert buckets("run", "one")["0.001"] == 2
    assert buckets("run", "two")["4194.304"] == 0
    assert buckets("run", "two")["+Inf"] == 1


def test_sums_are_in_seconds(client: Client, metrics: Metrics) -> None:
    """Kept as ms and as microseconds."""
    ran(a_store(client), "a")
    client.hset("t:{q}:tally", mapping={"wait_ms|t": 1500, "run_us|t": 250_000})
    found = scraped(metrics)
    of = {"queue": "q", "task": "t"}
    assert found.value("jobd_job_wait_seconds_sum", **of) == 1.5
    assert found.value("jobd_job_run_seconds_sum", **of) == 0.25
    assert found.value("jobd_job_total_seconds_sum", **of) == 1.75


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


# --- bounds ---


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


def shares(found: Exposition) -> dict[tuple[str, ...], float]:
    counted = found.by("jobd_jobs_total", "task", "outcome")
    return {key: n for key, n in counted.items() if n}


def gone_down(first: Exposition, later: Exposition) -> dict[Any, float]:
    after = later.counters()
    return {k: v for k, v in first.counters().items() if after.get(k, -1) < v}


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


@pytest.mark.parametrize(
    "name", [b'a"b', b"a\nb", b"a\\b", b"\xff\xfe", b"", b"{}", b"# HELP x", b"x" * 200]
)
def test_strange_bytes_are_no_labels(client: Client, metrics: Metrics, name: bytes) -> None:
    """Whatever a stranger has put into the tally or among the queues."""
    ran(a_store(client), "a")
    client.sadd("t:queues", name)
    strange: dict[Any, Any] = {
        b"completed|" + name: 7, b"own|" + name: 1, b"wait|" + name + b"|3": 1,
        b"wait|t|" + name: 1, b"run|t|99": 1, b"run|t|-1": 1, b"total|t|3|4": 1, name: 1,
        b"snoozed|t": name, b"failed|t": "9" * 60, b"timeout|t": "-4", b"lost|t": "1.5",
    }  # fmt: skip
    client.hset("t:{q}:tally", mapping=strange)
    found = scraped(metrics)
    assert shares(found) == {("t", "completed"): 1}
    assert found.by("jobd_job_wait_seconds_count", "task") == {("t",): 1}


@pytest.mark.parametrize("key", ["waiting", "leases", "tally", "completed", "meta", "held:n.1"])
def test_a_key_of_another_type_spoils_no_other_figure(
    client: Client, metrics: Metrics, key: str
) -> None:
    """It counts for nothing."""
    ran(a_store(client), "a")
    ran(a_store(client, "well"), "b")
    client.delete(f"t:{{q}}:{key}")
    client.set(f"t:{{q}}:{key}", "another type")
    found = scraped(metrics)
    assert found.value("jobd_queue_jobs", queue="well", state="completed") == 1
    assert found.value("jobd_jobs_total", queue="well", task="t", outcome="completed") == 1


def test_a_scrape_costs_the_same_however_many_jobs_there_are(
    client: Client, metrics: Metrics
) -> None:
    """By the server's own count of commands."""
    store = a_store(client)
    ran(store, "a")
    scraped(metrics)

    def cost() -> int:
        def calls() -> int:
            stats: Any = client.info("commandstats")
            return sum(int(row["calls"]) for row in stats.values())

        before = calls()
        metrics.exposition()
        return calls() - before

    one = cost()
    store.add([NewJob(f"w{n}", "t", b"{}") for n in range(2000)])
    ran(store, *(f"d{n}" for n in range(100)))
    assert cost() <= one + 2  # a queue with work is asked how old that is
    assert one <= 20


def test_scrapes_at_the_same_time_are_one(client: Client, tmp_path: Path) -> None:
    """Whoever comes while one is read waits, and they share the next."""
    asked: list[int] = []
    go_on = threading.Event()

    def firing() -> Mapping[str, int]:
        asked.append(1)
        assert go_on.wait(30)
        return {}

    metrics = Metrics(client, "t", tmp_path, firing=firing)
    bodies: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: bodies.append(metrics.exposition())) for _ in range(6)
    ]
    threads[0].start()
    eventually("the first reads", lambda: bool(asked))
    for thread in threads[1:]:
        thread.start()
    eventually("all have come", lambda: metrics._came == len(threads))
    go_on.set()
    for thread in threads:
        thread.join()
    assert len(asked) == 2
    assert len(bodies) == len(threads)
    assert metrics._found is None, "what nobody waits for is not kept"


# --- without Redis, without a daemon ---


def test_without_redis_this_host_still_speaks(tmp_path: Path) -> None:
    """Of Redis it says that it is away; of queues nothing, rather than something old."""
    away = connect(f"unix://{tmp_path / 'nobody'}")
    metrics = Metrics(away, "t", tmp_path, firing_here=lambda: {"redis is down": 1})
    found = scraped(metrics)
    assert found.value("jobd_redis_up") == 0
    assert found.value("jobd_daemon_up") == 0
    assert found.value("jobd_alerts_firing", rule="redis is down") == 1
    assert not [name for name in found.kinds if name.startswith(("jobd_queue", "jobd_job"))]
    away.close()


def test_files_that_cannot_be_read_are_no_daemon(client: Client, tmp_path: Path) -> None:
    """Whatever stands there: the figures of Redis are served."""
    ran(a_store(client), "a")
    (tmp_path / "state.json").write_text("{")
    found = scraped(Metrics(client, "t", tmp_path))
    assert found.value("jobd_daemon_up") == 0
    assert found.value("jobd_redis_up") == 1
    assert shares(found) == {("t", "completed"): 1}
