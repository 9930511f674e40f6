"""The metrics that come from Redis: queues, jobs, the server. The same on all hosts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from jobd.broker.metrics import QueueFigures, StoreFigures
from jobd.core.tally import ALWAYS_SHOWN, TaskTally
from jobd.web.metrics_table import Page

# Which of the buckets of powers of two ms are shown: each costs a series for every task of every queue
# on every host. Finer where people set limits, from a second to some minutes.
SHOWN_BUCKETS = (0, 2, 4, 6, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 22)


def le(bucket: int) -> str:
    """Spell the upper end of a bucket in seconds: it holds what is below 2^bucket ms."""
    return repr(2**bucket / 1000)


_BOUNDS = tuple((bucket, le(bucket)) for bucket in SHOWN_BUCKETS)


def add_store(page: Page, store: StoreFigures) -> None:
    """Fill in what Redis says."""
    if store.memory is not None:
        page.add("jobd_redis_memory_bytes", (), store.memory)
    if store.memory_limit is not None:
        page.add("jobd_redis_memory_limit_bytes", (), store.memory_limit)
    for name, queue in store.queues.items():
        _add_queue(page, name, queue)
        for task, tally in queue.tasks.items():
            _add_task(page, name, task, tally)


def add_alerts(page: Page, firing: Mapping[str, int]) -> None:
    """Fill in how often each rule fires."""
    for rule, count in firing.items():
        page.add("jobd_alerts_firing", (rule,), count)


def _add_queue(page: Page, name: str, queue: QueueFigures) -> None:
    for state, count in queue.counts.items():
        page.add("jobd_queue_jobs", (name, state), count)
    page.add("jobd_queue_waiting", (name,), queue.backlog.due)
    page.add("jobd_queue_oldest_seconds", (name,), queue.backlog.oldest)
    page.add("jobd_queue_paused", (name,), queue.backlog.paused)
    page.add("jobd_queue_limited", (name,), queue.backlog.limited)
    page.add("jobd_queue_workers", (name,), queue.workers)
    page.add("jobd_leases_expired_total", (name,), queue.leases_expired)


def _add_task(page: Page, queue: str, task: str, tally: TaskTally) -> None:
    # From the first scrape on, so that the first failure is an increase and not a new series.
    for outcome in dict.fromkeys((*ALWAYS_SHOWN, *tally.outcomes)):
        count = tally.outcomes.get(outcome, 0)
        page.add("jobd_jobs_total", (queue, task, outcome), count)
    waited, ran = tally.wait_ms / 1e3, tally.run_us / 1e6
    for name, buckets, total in (
        ("jobd_job_wait_seconds", tally.wait, waited),
        ("jobd_job_run_seconds", tally.run, ran),
        ("jobd_job_total_seconds", tally.total, waited + ran),
    ):
        if any(buckets):
            page.add_histogram(name, (queue, task), cumulative(buckets), total)


def cumulative(buckets: list[int]) -> Iterator[tuple[str, int]]:
    """Give the buckets that are shown, each with all below it, and +Inf."""
    so_far, at = 0, 0
    for bucket, bound in _BOUNDS:
        so_far += sum(buckets[at : bucket + 1])
        at = bucket + 1
        yield bound, so_far
    yield "+Inf", so_far + sum(buckets[at:])
