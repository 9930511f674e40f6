"""The guard of the speed: how often Redis is asked, since seconds are too noisy to assert.

Counted is every command that Redis carried out, inside scripts and outside of them. What a batch
costs does not grow with it, but how large batches are depends on how busy this machine is; so a
drained backlog is held to "so many commands a job and so many a call".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from support.inline import working
from support.servers import eventually

from jobd import Jobd, Queue
from jobd.broker.bites import ADD_BITE
from jobd.broker.connection import Client
from jobd.seams.scoreboard_page import Page

JOBS = 4000
PER_CALL = 25  # commands in a claim or a settle that are not about one job
IDLE_COMMANDS = 76  # to add, claim and settle one job that finds its worker idle
PER_JOB_READS = 0.04  # socket reads: one in twenty-five jobs at worst, one in a hundred is usual


@dataclass(frozen=True)
class Asked:
    """What Redis did: all commands, script calls among them, reads from sockets."""

    commands: int
    calls: int
    reads: int


class Counting:
    """Counts from here to `stop`, itself left out."""

    def __init__(self, client: Client) -> None:
        self._client = client
        client.config_resetstat()

    def stop(self) -> Asked:
        stats = self._client.info("commandstats")
        calls = {name.removeprefix("cmdstat_"): row["calls"] for name, row in stats.items()}
        ours = {n: c for n, c in calls.items() if not n.startswith(("config", "info"))}
        reads = self._client.info("stats")["total_reads_processed"]
        return Asked(sum(ours.values()), ours["evalsha"], reads - 2)


def settled(page: Page, count: int) -> Callable[[], bool]:
    """Read from the worker's page, because asking Redis would be counted."""

    def look() -> bool:
        view = page.view()
        return view is not None and view.settled == count

    return look


def drain(app: Jobd, queue: Queue, page: Page, concurrency: int = 1) -> Asked:
    """Let a worker that knows its tasks for fast ones work a backlog off."""
    [task] = queue.tasks
    queue.add_many([(task, {"user_id": i}) for i in range(JOBS)])
    counting = Counting(app.producer.client)
    with working(app, queue, page, concurrency=concurrency) as worker:
        worker.desk.costs.note(task.encode(), 0.0)
        eventually(settled(page, JOBS))
        return counting.stop()


def test_a_drained_backlog_costs_one_command_a_job(app: Jobd, page: Page) -> None:
    """The record is read; all else is done for a batch at once, results kept, tallies and all."""
    queue = app.queue("q")

    @queue.task()
    def noop(user_id: int) -> None: ...

    asked = drain(app, queue, page)

    assert asked.commands <= JOBS + PER_CALL * asked.calls
    assert asked.reads <= JOBS * PER_JOB_READS


def test_a_result_costs_one_command_more(app: Jobd, page: Page) -> None:
    """It is written beside the arguments."""
    queue = app.queue("q")

    @queue.task()
    def echo(user_id: int) -> int:
        return user_id

    asked = drain(app, queue, page)

    assert asked.commands <= 2 * JOBS + PER_CALL * asked.calls
    assert asked.reads <= JOBS * PER_JOB_READS


def test_removing_finished_jobs_costs_no_command_a_job(app: Jobd, page: Page) -> None:
    """Trimming rides along with the settle, a batch at once."""
    queue = app.queue("q", retain={"completed": {"count": 0}})

    @queue.task()
    def noop(user_id: int) -> None: ...

    asked = drain(app, queue, page)

    assert asked.commands <= JOBS + PER_CALL * asked.calls
    assert asked.reads <= JOBS * PER_JOB_READS


def test_adding_one_by_one_costs_seven_commands_in_one_script_call(app: Jobd) -> None:
    """And one round trip, and a hint each for the first idle workers."""
    queue = app.queue("q")
    queue.add("noop", {"user_id": 0})
    counting = Counting(app.producer.client)
    for i in range(1, 201):
        queue.add("noop", {"user_id": i})
    asked = counting.stop()

    hints = 15  # sixteen at most, and one is there
    assert (asked.calls, asked.reads) == (200, 200)
    assert asked.commands == 200 * (1 + 7) + hints


def test_adding_in_bulk_costs_one_command_a_job(app: Jobd) -> None:
    """A call for 250 jobs, so that none takes long; four of them in a round trip."""
    queue = app.queue("q")
    queue.add("noop", {"user_id": 0})
    counting = Counting(app.producer.client)
    queue.add_many([("noop", {"user_id": i}) for i in range(JOBS)])
    asked = counting.stop()

    assert asked.calls == JOBS / ADD_BITE
    assert asked.commands <= JOBS + asked.calls * 12


def test_a_job_for_an_idle_worker_takes_three_round_trips(app: Jobd, page: Page) -> None:
    """One adds it; one settles it and looks for more; one waits for the next and claims it."""
    queue = app.queue("q")

    @queue.task()
    def noop(user_id: int) -> None: ...

    with working(app, queue, page):
        noop.enqueue(user_id=0)
        eventually(settled(page, 1))
        counting = Counting(app.producer.client)
        for i in range(1, 101):
            noop.enqueue(user_id=i)
            eventually(settled(page, i + 1))
        asked = counting.stop()

    # Some slack: the look at what is held, every few seconds, and a claim by itself, every two.
    assert asked.reads <= 100 * 3 + 20
    assert asked.calls <= 100 * 4 + 5
    assert asked.commands <= 100 * IDLE_COMMANDS + 50


@pytest.mark.parametrize("is_async", [False, True])
def test_a_worker_with_many_lanes_asks_no_more_than_it_has_to(
    app: Jobd, page: Page, is_async: bool
) -> None:
    """A few round trips for a job that finds it idle, and the backlog in batches."""
    queue = app.queue("q")

    def sync(user_id: int) -> None: ...
    async def on_loop(user_id: int) -> None: ...

    task = queue.task("noop")(on_loop if is_async else sync)
    with working(app, queue, page, concurrency=8) as worker:
        worker.desk.costs.note(b"noop", 0.0)
        eventually(lambda: app.producer.client.info("clients")["blocked_clients"] == 1)
        counting = Counting(app.producer.client)
        task.enqueue(user_id=1)
        eventually(settled(page, 1))
        assert counting.stop().calls <= 6
    asked = drain(app, queue, page, concurrency=8)
    # Its batches are smaller and settle in more groups; one command more a job would be 4,000 more.
    assert asked.commands <= JOBS + 60 * asked.calls
    # On a busy machine lanes are slower, and so batches smaller; one read a job would be 4,000.
    assert asked.reads <= 3 * JOBS * PER_JOB_READS
