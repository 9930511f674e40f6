"""What Prometheus is told, beside the truth."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from support.tallied import LEASE, a_store, ended, ran, scraped, shares, slot, write_state

from jobd.broker.connection import Client, connect
from jobd.broker.new_job import NewJob
from jobd.core.portrait import Growth
from jobd.seams.statefile import PoolState
from jobd.web.metrics import CONTENT_TYPE, Metrics
from jobd.web.metrics_table import ALL_HOSTS, EACH_HOST, METRICS, ONE_HOST

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
def client(redis_url: str) -> Iterator[Client]:
    """One server will do: what scripts count is in test_metrics_scripts."""
    made = connect(redis_url)
    yield made
    made.close()


@pytest.fixture
def metrics(client: Client, tmp_path: Path) -> Metrics:
    return Metrics(client, "t", tmp_path)


# --- names ---


def test_the_table_has_every_promised_name_with_its_labels() -> None:
    """PRODUCT 5."""
    assert {name: METRICS[name].labels for name in PROMISED} == PROMISED


def test_every_help_says_how_hosts_are_put_together() -> None:
    """The same everywhere: max; of one host: sum, where that makes sense."""
    for metric in METRICS.values():
        assert metric.text.endswith((ALL_HOSTS, ONE_HOST, EACH_HOST)), metric
        assert metric.kind == "gauge" or metric.over_hosts != EACH_HOST


@pytest.fixture
def everything(client: Client, tmp_path: Path) -> Metrics:
    """A namespace and a host in which every metric has something to say."""
    store = a_store(client)
    ran(store, "a", ended("dead", "b", "failed"), ended("retry", "c", "failed"))
    pool = PoolState(target=1, exits={"crash": 1}, growth=[Growth(task="t", bytes=9, jobs=1)])
    queues = {"q": [slot("q.1", pid=1, incarnation="n.1", memory=100)]}
    write_state(tmp_path, queues=queues, pools={"q": pool})
    return Metrics(client, "t", tmp_path, firing=lambda: {"email backlog": 1})


def test_every_metric_of_the_table_is_said(everything: Metrics) -> None:
    """By its name, of its kind, with its labels."""
    found = scraped(everything)
    assert found.kinds == {name: metric.kind for name, metric in METRICS.items()}
    labels: dict[str, set[str]] = {name: set() for name in METRICS}
    for sample, pairs in found.values:
        name = sample if sample in labels else sample.rpartition("_")[0]
        labels[name] |= {label for label, _ in pairs if label != "le"}
    assert labels == {name: set(metric.labels) for name, metric in METRICS.items()}


def test_promtool_finds_nothing(everything: Metrics) -> None:
    """The linter of Prometheus itself."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool here: it comes with Debian's package prometheus")
    checked = subprocess.run(
        [promtool, "check", "metrics"],
        input=everything.exposition(), capture_output=True, check=False,
    )  # fmt: skip
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_open_metrics_is_spoken_to_who_asks_for_it(everything: Metrics) -> None:
    """The same figures in the other format; the plain one for everybody else."""
    body, kind = everything.answer("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    families = {family.name: family for family in open_metrics(body.decode())}
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    assert families["jobd_jobs"].type == "counter"
    assert everything.answer("*/*")[1] == CONTENT_TYPE
    plain = scraped(everything)
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


# --- bounds ---


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
