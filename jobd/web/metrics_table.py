"""Every metric there is, in one table: its name, kind, labels, and what it says.

To add one, write its line here and fill it in `metrics_queues` (from Redis) or `metrics_host` (from the
runtime directory). Each HELP text ends with how to aggregate over hosts: what comes from Redis is the
same on every host, so a sum would count it once a host; what is of one host's processes is summed.

Labels are bounded: queues are those of the application; tasks are at most 200 a queue, the rest
together under "(other)" (jobd.broker.metrics); slots, phases, states, outcomes and causes are few.
Counters are read where they are kept, in Redis and in the daemon's state file, and never by this process:
so they survive children, restarts and this process' end. Where Redis loses its data they begin at 0,
which Prometheus takes for what it is, a reset.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from prometheus_client.core import Metric as Family

Kind = Literal["counter", "gauge", "histogram"]

ALL_HOSTS = "Same on all hosts: use max."
ONE_HOST = "Of this host: use sum."
EACH_HOST = "Of this host: not to be added up."


class Metric(NamedTuple):
    """One line of the table. `name` is as PromQL has it, a counter's with `_total`."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    over_hosts: str

    @property
    def text(self) -> str:
        """HELP, with how to aggregate it."""
        return f"{self.help} {self.over_hosts}"


def _all(name: str, kind: Kind, labels: str, text: str) -> Metric:
    return Metric(name, kind, tuple(labels.split()), text, ALL_HOSTS)


def _host(name: str, kind: Kind, labels: str, text: str, how: str = ONE_HOST) -> Metric:
    return Metric(name, kind, tuple(labels.split()), text, how)


_TABLE = (
    # --- from Redis ---
    _all("jobd_queue_jobs", "gauge", "queue state", "Jobs by state."),
    _all(
        "jobd_queue_waiting", "gauge", "queue",
        "Jobs that are due and not begun, delayed ones that are late included.",
    ),
    _all(
        "jobd_queue_oldest_seconds", "gauge", "queue",
        "For how long the job that waits longest has been due.",
    ),
    _all("jobd_queue_paused", "gauge", "queue", "1 where the queue is paused, else 0."),
    _all(
        "jobd_queue_limited", "gauge", "queue",
        "1 where a rate limit, a cap or a throttle holds the queue back, else 0.",
    ),
    _all("jobd_queue_workers", "gauge", "queue", "Workers of all hosts whose lease is in force."),
    _all(
        "jobd_jobs_total", "counter", "queue task outcome",
        "What became of jobs: completed, dead and cancelled end one; after the other outcomes it goes on. "
        "Begins at 0 where Redis loses its data.",
    ),
    _all(
        "jobd_job_wait_seconds", "histogram", "queue task",
        "From when a job was due until its run began; of runs that returned, raised or timed out.",
    ),
    _all("jobd_job_run_seconds", "histogram", "queue task", "How long runs took that returned, raised or timed out."),
    _all(
        "jobd_job_total_seconds", "histogram", "queue task",
        "From when a job was due until its run ended; of runs that returned, raised or timed out.",
    ),
    _all(
        "jobd_leases_expired_total", "counter", "queue",
        "Workers whose whole host went away, so that others took their jobs back.",
    ),
    _all("jobd_redis_memory_bytes", "gauge", "", "Memory that the Redis server has used."),
    _all("jobd_redis_memory_limit_bytes", "gauge", "", "Its maxmemory; 0 is no limit."),
    _all("jobd_alerts_firing", "gauge", "rule", "In how many places an alert rule fires."),
    # --- of this host ---
    _host("jobd_redis_up", "gauge", "", "1 where Redis has answered this scrape, else 0."),
    _host("jobd_build_info", "gauge", "version", "1, with the version of the web process.", EACH_HOST),
    _host("jobd_daemon_up", "gauge", "", "1 where the daemon's supervisor runs, else 0."),
    _host("jobd_daemon_stopping", "gauge", "", "1 while the daemon drains, else 0."),
    _host(
        "jobd_daemon_generation", "gauge", "",
        "Grows with each reload of configuration and code that came into force.", EACH_HOST,
    ),
    _host("jobd_daemon_reload_failed", "gauge", "", "1 where the last reload was refused, else 0."),
    _host(
        "jobd_daemon_start_time_seconds", "gauge", "",
        "When the daemon was started, in seconds since 1970.", EACH_HOST,
    ),
    _host("jobd_queue_processes", "gauge", "queue kind", "Worker processes: wanted and running."),
    _host(
        "jobd_queue_gave_up", "gauge", "queue",
        "1 where workers end one after another without having run a job, so that one is only tried now "
        "and then; else 0.",
    ),
    _host("jobd_workers", "gauge", "queue phase", "Worker slots by what their process does."),
    _host(
        "jobd_worker_memory_bytes", "gauge", "queue slot",
        "Memory that a slot's worker does not share with others.",
    ),
    _host(
        "jobd_worker_restarts_total", "counter", "queue cause",
        "Workers that have ended, by cause. Kept over restarts of the daemon in its runtime directory.",
    ),
    _host(
        "jobd_task_growth_bytes", "gauge", "queue task",
        "How much the tasks that grow most have made workers grow by, since the daemon was started.",
    ),
)  # fmt: skip

METRICS = {metric.name: metric for metric in _TABLE}


class Page:
    """The samples of one scrape. Metrics without one are left out."""

    def __init__(self) -> None:
        self._families: dict[str, Family] = {}

    def add(self, name: str, labels: tuple[str, ...], value: float) -> None:
        """Add one sample. Raises KeyError, ValueError for what the table does not have so."""
        metric = METRICS[name]
        self._family(metric).add_sample(name, self._labels(metric, labels), value)

    def add_histogram(
        self, name: str, labels: tuple[str, ...], buckets: Iterable[tuple[str, int]], total: float
    ) -> None:
        """Add one: `buckets` are (le, how many so far), the last one of them +Inf; `total` the sum."""
        metric = METRICS[name]
        family, of = self._family(metric), self._labels(metric, labels)
        count = 0
        for le, count in buckets:
            family.add_sample(name + "_bucket", of | {"le": le}, count)
        family.add_sample(name + "_count", of, count)
        family.add_sample(name + "_sum", of, total)

    def collect(self) -> list[Family]:
        """Give the families in the order of the table, as a registry of prometheus_client does."""
        return [self._families[name] for name in METRICS if name in self._families]

    def _family(self, metric: Metric) -> Family:
        family = self._families.get(metric.name)
        if family is None:
            name = metric.name.removesuffix("_total") if metric.kind == "counter" else metric.name
            family = self._families[metric.name] = Family(name, metric.text, metric.kind)
        return family

    @staticmethod
    def _labels(metric: Metric, values: tuple[str, ...]) -> dict[str, str]:
        return dict(zip(metric.labels, values, strict=True))
