"""The inline worker on a real server, in this process: from claim to settled."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import warnings
from dataclasses import dataclass
from socket import gethostname
from typing import Any

import pytest
from support.inline import Running, in_state, working
from support.servers import eventually

from jobd import Fixed, Job, Jobd, JobFailed
from jobd.broker.commands import Blame, Claimed
from jobd.core.errors import Fenced
from jobd.seams import host
from jobd.seams.exits import Exit
from jobd.seams.scoreboard_page import Page


def test_results_come_back(app: Jobd, page: Page) -> None:
    """A waiter is told; null is null."""
    queue = app.queue("q")

    @queue.task()
    def add(a: int, b: int = 1) -> int:
        return a + b

    @queue.task()
    def nothing() -> None: ...

    with working(app, queue, page):
        assert (add.enqueue(1, b=2).result("10s"), add.enqueue(10).result("10s")) == (3, 11)
        assert nothing.enqueue().result("10s") is None


def test_a_run_of_some_length_says_where_it_ran_and_a_quick_one_pays_for_no_line(
    app: Jobd, page: Page
) -> None:
    queue = app.queue("q")

    @queue.task()
    def work(seconds: float) -> str:
        time.sleep(seconds)
        return "done"

    @queue.task(retain={"completed": {"age": "3d"}})
    def kept() -> None: ...

    with working(app, queue, page):
        jobs = [work.enqueue(0.02), work.enqueue(0), kept.enqueue()]
        for job in jobs:
            job.result("10s")
    views = app.producer.views()
    slow, quick, own = [views.info("q", job.id) for job in jobs]
    assert slow is not None
    assert slow.ran is not None
    assert slow.ran.ms >= 20
    assert (slow.ran.slot, slow.ran.host) == ("q.1", gethostname())
    assert slow.ran.token > 0
    assert quick is not None
    assert quick.ran is None
    assert own is not None
    assert own.ran is not None  # it writes more than its end anyway


class _NoText(Exception):
    def __str__(self) -> str:
        raise SystemExit("not even a text")


class _OfALibrary(BaseException):
    """As the time-outs of gevent and the cancellations of asyncio: no Exception."""


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (FileNotFoundError("no file b\udcff.txt"), "FileNotFoundError: no file b\\udcff.txt"),
        (_NoText(), "_NoText (its text raised SystemExit)"),
        (_OfALibrary("late"), "_OfALibrary: late"),
        (KeyboardInterrupt(), "KeyboardInterrupt: "),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_a_task_raises_is_its_failure(
    app: Jobd, page: Page, raised: BaseException, told: str
) -> None:
    """Nothing a task raises ends the worker: it would take the queue along, start after start."""
    queue = app.queue("q")

    @queue.task()
    def fail() -> None:
        raise raised

    @queue.task()
    def healthy() -> int:
        return 1

    with working(app, queue, page):
        with pytest.raises(JobFailed) as caught:
            fail.enqueue().result("10s")
        assert (caught.value.cause, caught.value.error) == ("failed", told)
        assert healthy.enqueue().result("10s") == 1


def test_a_job_answers_for_its_arguments_and_its_error(app: Jobd, page: Page) -> None:
    """Converting arguments and asking an error for its text run the application's code: whoever
    hangs or crashes there is on the page, so that it is timed out and counted like any other."""
    queue = app.queue("q")
    seen: list[str] = []

    def look(where: str) -> None:
        view = page.view()
        assert view is not None
        seen.extend(f"{where} of {cell.task}" for cell in view.cells)

    @dataclass
    class Argument:
        n: int

        def __post_init__(self) -> None:
            look("argument")

    class Failure(Exception):
        def __str__(self) -> str:
            look("text")
            return "failed"

    def convert(argument: Argument) -> None: ...

    convert.__annotations__["argument"] = Argument
    queue.task()(convert)

    @queue.task()
    def fail() -> None:
        raise Failure

    with working(app, queue, page):
        queue.add("convert", {"argument": {"n": 1}}).result("10s")
        with pytest.raises(JobFailed):
            fail.enqueue().result("10s")
    assert set(seen) == {"argument of convert", "text of fail"}


@pytest.mark.parametrize(("ends", "code"), [("returns", 0), ("raises", 1), ("exits", 3)], ids=str)
def test_a_child_that_a_task_forked_is_no_second_worker(
    app: Jobd, page: Page, ends: str, code: int
) -> None:
    """A forked child that leaves the task's function ends there; the worker goes on."""
    queue = app.queue("q")

    @queue.task()
    def forks() -> int:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # this process has threads
            child = os.fork()
        if child == 0 and ends == "raises":
            raise ValueError("in the child")
        if child == 0 and ends == "exits":
            sys.exit(3)
        return child

    with working(app, queue, page):
        child = forks.enqueue().result("10s")
        pidfd = os.pidfd_open(child)
        try:
            assert host.ended(pidfd, 10)
        finally:
            host.send(pidfd, signal.SIGKILL)
            end = host.reap(pidfd)
            os.close(pidfd)
        assert end == Exit(code=code)
        assert forks.enqueue().result("10s") != child


def test_order_is_priority_then_arrival(app: Jobd, page: Page) -> None:
    """One worker, no faults: no inversions (I-31)."""
    queue = app.queue("q")
    ran: list[int] = []

    @queue.task()
    def note(n: int) -> None:
        ran.append(n)

    queue.add_many([("note", {"n": i}, {"priority": i % 3}) for i in range(900)])
    with working(app, queue, page):
        eventually(in_state(app, "completed", 900))

    assert sorted(range(900), key=lambda i: i % 3) == ran


def test_a_failure_is_retried_and_its_history_kept(app: Jobd, page: Page) -> None:
    """attempts counts runs; each failed one leaves a line."""
    queue = app.queue("q", attempts=3, backoff=Fixed("10ms"))
    seen: list[tuple[int, int]] = []

    @queue.task()
    def third_time(job: Job) -> str:
        seen.append((job.attempt, job.token))
        if job.attempt < 3:
            raise ValueError(f"no {job.attempt}")
        return "done"

    with working(app, queue, page):
        handle = third_time.enqueue()
        assert handle.result("10s") == "done"

    info = handle.info()
    assert info is not None
    assert [attempt for attempt, _ in seen] == [1, 2, 3]
    assert seen == sorted(seen, key=lambda line: line[1])
    assert [h["error"] for h in info.history] == ["ValueError: no 1", "ValueError: no 2"]
    assert "third_time" in info.history[0]["traceback"]


def test_used_up_attempts_are_a_death_with_its_error(app: Jobd, page: Page) -> None:
    """And who waits is told of it."""
    queue = app.queue("q", attempts=2, backoff=Fixed(0))

    @queue.task()
    def hopeless() -> None:
        raise ValueError("never")

    with working(app, queue, page), pytest.raises(JobFailed, match="never") as failed:
        hopeless.enqueue().result("10s")

    assert failed.value.cause == "failed"
    [entry] = app.producer.client.xrange("jobd:{q}:outbox")
    assert entry[1][b"cause"] == b"failed"


@pytest.mark.parametrize(
    ("args", "cause"),
    [({"n": "x"}, "undecodable"), ({"m": 1}, "undecodable"), ({"n": 1}, "unencodable")],
)
def test_what_does_not_fit_is_dead_without_a_retry(
    app: Jobd, page: Page, args: dict[str, Any], cause: str
) -> None:
    """Arguments that do not fit, and a result that is no JSON."""
    queue = app.queue("q", attempts=5)

    @queue.task()
    def odd(n: int) -> object:
        return object()

    with working(app, queue, page), pytest.raises(JobFailed) as failed:
        queue.add("odd", args).result("10s")
    assert cause == failed.value.cause


def test_what_does_not_end_well_is_told_and_nothing_else(app: Jobd, page: Page) -> None:
    """A line for a failure, a death and an unknown name; none for a job that ends well."""
    queue = app.queue("q", attempts=2, backoff=Fixed(0))

    @queue.task()
    def fails() -> None:
        raise ValueError("no")

    @queue.task()
    def works() -> None: ...

    with working(app, queue, page) as running:
        works.enqueue().result("10s")
        assert running.said == []
        handle = fails.enqueue()
        eventually(lambda: handle.state() == "dead")
        queue.add_many([("unknown", {}), ("unknown", {})])
        eventually(in_state(app, "delayed", 2))
    assert running.said == ["job.failed", "job.dead", "task.unknown"]


def test_an_unknown_name_is_parked_and_visible(app: Jobd, page: Page) -> None:
    """Never lost, never acknowledged."""
    queue = app.queue("q")
    with working(app, queue, page):
        handle = queue.add("from-the-future", {})
        eventually(lambda: handle.state() == "delayed")

    info = handle.info()
    assert info is not None
    assert "from-the-future" in str(info.error)
    assert info.parked_since is not None


def test_a_crashed_job_is_poison_at_its_limit(app: Jobd, page: Page) -> None:
    """The next claimer judges what a dead worker left."""
    queue = app.queue("q", max_crashes=2)

    @queue.task()
    def innocent() -> str:
        return "ran"

    handle = innocent.enqueue()
    store = app.producer.store("q")
    for n in range(2):
        store.join(f"dead.{n}", 30_000)
        [job] = store.claim(f"dead.{n}", 30_000).jobs
        store.release(f"dead.{n}", [Blame(job.id.decode(), "crashes", b'{"kind":"crash"}')])

    with working(app, queue, page), pytest.raises(JobFailed) as failed:
        handle.result("10s")
    assert failed.value.cause == "poison"


def test_a_job_that_crashed_twice_is_put_off_and_that_is_no_run(app: Jobd, page: Page) -> None:
    """It goes behind the others. A worker that only did that has been of no use yet: else each worker of
    a crash loop would have been, and nothing would slow the loop down."""
    queue = app.queue("q")

    @queue.task()
    def innocent() -> str:
        return "ran"

    handle = innocent.enqueue()
    store = app.producer.store("q")
    for n in range(2):
        store.join(f"dead.{n}", 30_000)
        [job] = store.claim(f"dead.{n}", 30_000).jobs
        store.release(f"dead.{n}", [Blame(job.id.decode(), "crashes", b'{"kind":"crash"}')])
    page.hand_out(incarnation="w.1", queue="q", slot="q.1")

    def seen() -> tuple[int, int]:
        view = page.view()
        assert view is not None
        return view.settled, view.ran

    with working(app, queue, page) as running:
        eventually(lambda: seen()[0] == 1)
        assert (seen()[1], handle.state()) == (0, "delayed")
        assert handle.result("10s") == "ran"
        eventually(lambda: seen() == (2, 1))
    tally = app.producer.client.hgetall("jobd:{q}:tally")
    assert (tally[b"put_off|innocent"], tally[b"completed|innocent"]) == (b"1", b"1")
    assert "job.failed" in running.said
    assert "backoff.unusable" not in running.said  # it has no back-off function


def test_nothing_waits_behind_a_job_that_overstays(app: Jobd, page: Page) -> None:
    """The side thread hands unstarted jobs back and settles finished ones, while it runs."""
    queue = app.queue("q")
    go, started = threading.Event(), threading.Event()

    @queue.task()
    def quick() -> None: ...

    @queue.task()
    def sometimes_slow(slow: bool) -> None:
        if slow:
            started.set()
            assert go.wait(60)

    queue.add_many([("sometimes_slow", {"slow": False})] * 3)
    with working(app, queue, page):
        eventually(in_state(app, "completed", 3))  # now it is known as a fast one
        queue.add_many(
            [("sometimes_slow", {"slow": False})] * 2
            + [("sometimes_slow", {"slow": True})]
            + [("sometimes_slow", {"slow": False})] * 4
        )
        assert started.wait(30)
        eventually(in_state(app, "waiting", 4))
        eventually(in_state(app, "completed", 5))
        go.set()
        eventually(in_state(app, "completed", 10))


def test_what_is_revoked_is_not_started(app: Jobd, page: Page) -> None:
    """The keeper takes unstarted jobs of a worker whose GIL is held; the worker obeys the page."""
    queue = app.queue("q")
    ran: list[int] = []

    @queue.task()
    def work(n: int) -> None:
        if n == 0:
            page.revoke(2**53)
        ran.append(n)

    queue.add_many([("work", {"n": 9})])
    with working(app, queue, page):
        eventually(in_state(app, "completed", 1))
        queue.add_many([("work", {"n": n}) for n in range(3)])
        eventually(lambda: 0 in ran)
        eventually(lambda: app.producer.views().counts("q")["completed"] >= 2)
    assert ran[:2] == [9, 0]
    page.revoke(0)


def test_what_was_claimed_a_lease_ago_is_not_started(app: Jobd, page: Page) -> None:
    """A host that stood still may find that another one runs its jobs: it hands them back."""
    queue = app.queue("q")
    ran: list[int] = []

    @queue.task()
    def work(n: int) -> None:
        ran.append(n)

    work.enqueue(1)
    running = Running(app, queue, page)
    store = app.producer.store("q")
    store.join("w.1", 30_000)
    running.desk.load(store.claim("w.1", 30_000), time.monotonic() - 30.1)
    running.executor.run_all(running.stop)
    assert (ran, len(running.desk.revoked)) == ([], 1)

    running.thread.start()
    eventually(in_state(app, "completed", 1))
    running.stop.ask()
    running.thread.join(30)
    assert ran == [1]


def test_a_fenced_worker_ends(app: Jobd, page: Page) -> None:
    """A closed lease is for ever."""
    queue = app.queue("q")

    @queue.task()
    def work() -> None: ...

    with working(app, queue, page) as running:
        eventually(lambda: app.producer.store("q").open_leases())
        app.producer.store("q").release("w.1")
        work.enqueue()
        running.thread.join(30)
        assert isinstance(running.error, Fenced)
    assert app.producer.views().counts("q")["waiting"] == 1


def test_a_flushed_store_is_joined_anew(app: Jobd, page: Page) -> None:
    """A reset is told from a fence by the epoch."""
    queue = app.queue("q")

    @queue.task()
    def work() -> int:
        return 1

    with working(app, queue, page) as running:
        assert work.enqueue().result("10s") == 1
        app.producer.client.flushall()
        assert work.enqueue().result("20s") == 1
        assert any("reset" in line for line in running.said)


def test_a_stopped_worker_leaves_nothing_behind(app: Jobd, page: Page) -> None:
    """Unstarted jobs are back before it ends."""
    queue = app.queue("q")

    @queue.task()
    def work(n: int) -> None:
        if n == 50:
            time.sleep(0)
            running.stop.ask()

    queue.add_many([("work", {"n": n}) for n in range(400)])
    with working(app, queue, page) as running:
        running.thread.join(30)
    counts = app.producer.views().counts("q")

    assert counts["active"] == 0
    assert counts["waiting"] + counts["completed"] == 400


def test_a_job_that_has_ended_is_held_by_nobody(app: Jobd, page: Page) -> None:
    """Its memory is the next one's: hundreds that were kept would cost each of them a fifth of its time."""
    queue = app.queue("q")
    workers: list[Running] = []
    kept: list[Claimed] = []
    held: set[int] = set()

    @queue.task()
    def quick(n: int) -> None:
        if n == 300:
            kept.append(workers[0].executor.lane.job)
        elif n > 300:
            held.add(sys.getrefcount(kept[0]))

    with working(app, queue, page) as worker:
        workers.append(worker)
        worker.desk.costs.note(b"quick", 0.0)
        queue.add_many([("quick", {"n": n}) for n in range(600)])
        eventually(lambda: (view := page.view()) is not None and view.settled == 600)
    assert held == {2}  # `kept`, and the call that counts
