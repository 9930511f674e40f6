"""Failures, retries and what a task may raise, by a worker on a real server."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import warnings
from typing import Any

import pytest
from support.inline import in_state, working
from support.servers import eventually

from jobd import Discard, Exponential, Fixed, Job, Jobd, JobFailed, JobHandle, Queue, Retry, Snooze
from jobd.broker.commands import Blame
from jobd.broker.views import JobInfo
from jobd.core.errors import OptionError
from jobd.seams import host
from jobd.seams.exits import Exit
from jobd.seams.scoreboard_page import Page
from jobd.worker.record import MAX_HISTORY, MAX_HISTORY_BYTES, MAX_TRACEBACK


def info_of(handle: JobHandle[Any]) -> JobInfo:
    info = handle.info()
    assert info is not None
    return info


def ended(app: Jobd, queue: Queue, page: Page, handle: JobHandle[Any]) -> JobInfo:
    """Run the queue until the job is dead."""
    with working(app, queue, page):
        eventually(lambda: handle.state() == "dead")
    return info_of(handle)


def outcomes(app: Jobd) -> dict[str, int]:
    """What the tallies counted of the task `work`."""
    tally: Any = app.producer.client.hgetall("jobd:{q}:tally")
    return {
        name.decode().removesuffix("|work"): int(n)
        for name, n in tally.items()
        if name.endswith(b"|work") and not name.startswith((b"run_us", b"wait_ms"))
    }


# --- back-off ---


def test_a_function_says_when_a_job_runs_again(app: Jobd, page: Page) -> None:
    """It is asked in the worker, with the number of failures and the error."""
    asked: list[tuple[int, str]] = []

    def wait(failures: int, error: BaseException | None) -> str:
        asked.append((failures, str(error)))
        return "10ms"

    queue = app.queue("q", attempts=3, backoff=wait)

    @queue.task()
    def work(job: Job) -> None:
        raise ValueError(f"no {job.attempt}")

    ended(app, queue, page, work.enqueue())
    assert asked == [(1, "no 1"), (2, "no 2")]


def test_a_function_that_raises_costs_no_job(app: Jobd, page: Page) -> None:
    """The default's wait is taken; the history says so each time, the log once for the task."""

    def broken(failures: int) -> float:
        raise LookupError("no table of waits")

    queue = app.queue("q", attempts=50, backoff=broken)

    @queue.task()
    def work() -> None:
        raise ValueError("no")

    with working(app, queue, page) as running:
        jobs = [work.enqueue() for _ in range(3)]
        eventually(lambda: all(info_of(job).history for job in jobs))
    # The wait is drawn by lot from five seconds: one of them may have run again by now.
    assert sorted(set(running.said)) == ["backoff.unusable", "job.failed"]
    assert running.said.count("backoff.unusable") == 1
    for job in jobs:
        info = info_of(job)
        assert all("raised LookupError: no table of waits" in run["note"] for run in info.history)
        if len(info.history) == 1 and info.due_at is not None:
            at = info.history[0]["at"]
            assert at <= info.due_at <= at + 5000 + 100


def test_a_function_is_asked_after_a_timeout_too(app: Jobd, page: Page) -> None:
    """By the worker that claims the job next; while it is asked the job answers for the process."""
    running: list[tuple[str, bool]] = []

    def wait(failures: int, error: BaseException | None) -> str:
        view = page.view()
        assert view is not None
        running.extend((cell.job_id, cell.deadline > 0) for cell in view.cells)
        return f"{failures}h"

    queue = app.queue("q", attempts=3, backoff=wait)

    @queue.task()
    def work() -> None: ...

    job = work.enqueue()
    store = app.producer.store("q")
    store.join("dead.1", 30_000)
    assert store.claim("dead.1", 30_000).jobs
    store.release("dead.1", [Blame(job.id, "timeouts", b'{"kind":"timeout","how":"SIGKILL"}')])
    with working(app, queue, page):
        eventually(lambda: job.state() == "delayed")
        view = page.view()
        assert view is not None
        assert list(view.cells) == []

    assert running == [(job.id, True)]
    assert info_of(job).error == "timeout: its process ended with SIGKILL"


@pytest.mark.parametrize(("after", "code"), [("error", 1), ("timeout", 0)])
def test_a_child_that_a_function_forked_is_no_second_worker(
    app: Jobd, page: Page, after: str, code: int
) -> None:
    """It ends where it leaves the function, whenever that was asked; the worker goes on."""
    children: list[int] = []

    def forks(failures: int) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # this process has threads
            children.append(os.fork())
        if children[-1] == 0:  # a second worker would fall over the first one's replies
            threading.excepthook = lambda failure: os._exit(9)
        return "1h"

    queue = app.queue("q", attempts=3, backoff=forks)

    @queue.task()
    def work(fails: bool) -> str:
        if fails:
            raise ValueError("no")
        return "done"

    job = work.enqueue(fails=True)
    if after == "timeout":
        store = app.producer.store("q")
        store.join("dead.1", 30_000)
        assert store.claim("dead.1", 30_000).jobs
        store.release("dead.1", [Blame(job.id, "timeouts", b'{"kind":"timeout"}')])
    with working(app, queue, page):
        eventually(lambda: job.state() == "delayed")
        [child] = children
        pidfd = os.pidfd_open(child)
        try:
            assert host.ended(pidfd, 10)
        finally:
            host.send(pidfd, signal.SIGKILL)
            end = host.reap(pidfd)
            os.close(pidfd)
        assert end == Exit(code=code)
        assert work.enqueue(fails=False).result("10s") == "done"


def test_jitter_is_ours_alone(app: Jobd, page: Page) -> None:
    """An application that seeds `random` in its tasks gets its own numbers, and its retries are
    spread all the same (I-18)."""
    queue = app.queue("q", attempts=2, backoff=Exponential("1000s", cap="1000s"))
    drawn: list[float] = []

    @queue.task()
    def work() -> None:
        drawn.append(random.random())
        random.seed(1)
        raise ValueError("no")

    jobs = [work.enqueue() for _ in range(100)]
    with working(app, queue, page):
        eventually(in_state(app, "delayed", 100))
    waits = []
    for job in jobs:
        info = info_of(job)
        assert info.due_at is not None
        waits.append(info.due_at - info.history[0]["at"])

    assert len(set(drawn[1:])) == 1
    assert all(0 <= wait <= 1_000_100 for wait in waits)
    assert len({wait // 100_000 for wait in waits}) >= 5


# --- which errors are tried again ---


def test_an_error_that_is_given_up_on_is_a_death_at_once(app: Jobd, page: Page) -> None:
    """Cause `failed`, with the run in the history and why it was the last."""
    queue = app.queue("q", attempts=5, backoff=Fixed(0), give_up_on=(LookupError,))

    @queue.task()
    def work() -> None:
        raise KeyError("no such user")

    info = ended(app, queue, page, work.enqueue())
    assert (info.cause, info.failed) == ("failed", 1)
    [run] = info.history
    assert run["note"] == "not tried again: KeyError is in give_up_on"
    assert run["error"] == "KeyError: 'no such user'"


def test_a_call_says_which_errors_its_job_is_tried_again_for(app: Jobd, page: Page) -> None:
    """The types travel with the job, by name, and go before those of its task."""
    queue = app.queue("q", attempts=3, backoff=Fixed(0), give_up_on=OSError)

    @queue.task()
    def work(kind: str) -> None:
        raise {"timeout": TimeoutError, "value": ValueError}[kind](kind)

    with working(app, queue, page):
        call = work.using(give_up_on=(), retry_on=OSError)
        jobs = [call.enqueue("timeout"), call.enqueue("value"), work.enqueue("timeout")]
        eventually(in_state(app, "dead", 3))
    assert [info_of(job).failed for job in jobs] == [3, 1, 1]


def test_what_cannot_travel_is_refused_at_the_call(app: Jobd) -> None:
    """By name or by task: a function, a type of this program alone. Nothing was added."""
    queue = app.queue("q")

    class Mine(Exception):
        pass

    @queue.task()
    def work() -> None: ...

    with pytest.raises(OptionError, match="task 'work': backoff: the function"):
        work.using(backoff=lambda failures: failures)
    with pytest.raises(OptionError, match=r"task 'work': give_up_on: .*Mine; expected a type"):
        queue.add("work", give_up_on=Mine)
    with pytest.raises(
        OptionError, match=r"task 'typo': retry_on: 'OSErorr'.* did you mean 'OSErr"
    ):

        @queue.task("typo", retry_on="OSErorr")
        def typo() -> None: ...

    assert app.producer.views().counts("q")["waiting"] == 0


# --- what a task may raise ---


def test_retry_runs_the_job_again_after_its_own_wait(app: Jobd, page: Page) -> None:
    """A failed attempt, with what it was raised from in the traceback."""
    queue = app.queue("q", attempts=3, backoff=Fixed("1h"), give_up_on=Exception)

    @queue.task()
    def work(job: Job) -> str:
        try:
            if job.attempt == 1:
                raise TimeoutError("the bank is asleep")
        except TimeoutError as error:
            raise Retry(after="20ms", why="bank") from error
        return "paid"

    with working(app, queue, page):
        handle = work.enqueue()
        assert handle.result("10s") == "paid"
    info = info_of(handle)
    assert info.failed == 1
    [run] = info.history
    assert (run["kind"], run["error"]) == (
        "failed",
        "Retry: bank (TimeoutError: the bank is asleep)",
    )
    assert "TimeoutError: the bank is asleep" in run["traceback"]


def test_retry_with_the_last_attempt_is_a_death(app: Jobd, page: Page) -> None:
    """The default is one attempt, and the history says what is missing."""
    queue = app.queue("q")

    @queue.task()
    def work() -> None:
        raise Retry(after="5m")

    info = ended(app, queue, page, work.enqueue())
    assert (info.cause, info.failed) == ("failed", 1)
    assert "see `attempts`" in info.history[0]["note"]


def test_discard_is_a_death_on_purpose(app: Jobd, page: Page) -> None:
    """Cause `discarded`, no failed attempt, no error in the log; who waits is told."""
    queue = app.queue("q", attempts=5)

    @queue.task()
    def work() -> None:
        raise Discard("sold out")

    with working(app, queue, page) as running:
        handle = work.enqueue()
        with pytest.raises(JobFailed, match="sold out") as failed:
            handle.result("10s")
        assert running.said == ["job.discarded"]
    assert failed.value.cause == "discarded"
    info = info_of(handle)
    assert (info.cause, info.failed, info.error) == ("discarded", 0, "Discard: sold out")
    assert [run["kind"] for run in info.history] == ["discarded"]
    assert outcomes(app)["dead"] == 1
    [entry] = app.producer.client.xrange("jobd:{q}:outbox")
    assert entry[1][b"cause"] == b"discarded"


def test_snooze_runs_the_job_later_and_costs_nothing(app: Jobd, page: Page) -> None:
    """No attempt, no line in the history; a counter that the task sees. It survives a failure."""
    queue = app.queue("q", attempts=2, backoff=Fixed(0))
    seen: list[tuple[int, int]] = []

    @queue.task()
    def work(job: Job) -> str:
        seen.append((job.attempt, job.snoozed))
        if len(seen) == 2:
            raise ValueError("no")
        if job.snoozed < 2:
            raise Snooze(0, why="closed")
        return "at last"

    with working(app, queue, page) as running:
        handle = work.enqueue()
        eventually(lambda: handle.state() == "delayed")
        info = info_of(handle)
        assert (info.snoozed, info.failed, info.history) == (1, 0, [])
        assert info.error == "Snooze: closed"
        assert handle.result("10s") == "at last"
        assert running.said == ["job.snoozed", "job.failed", "job.snoozed"]
    assert seen == [(1, 0), (1, 1), (2, 1), (2, 2)]
    info = info_of(handle)
    assert (info.snoozed, info.failed, len(info.history)) == (2, 1, 1)
    assert outcomes(app) == {"snoozed": 2, "failed": 1, "completed": 1}


def test_a_snooze_is_not_sooner_than_a_second(app: Jobd, page: Page) -> None:
    """By Redis' clock: a job that asks for less cannot spin."""
    queue = app.queue("q")

    @queue.task()
    def work() -> None:
        raise Snooze("1ms")

    before = int(app.producer.client.time()[0]) * 1000
    with working(app, queue, page):
        handle = work.enqueue()
        eventually(lambda: handle.state() == "delayed")
        assert (info_of(handle).due_at or 0) >= before + 1000


def test_a_wish_that_makes_no_sense_is_the_tasks_failure(app: Jobd, page: Page) -> None:
    """With what was wrong about it."""
    queue = app.queue("q")

    @queue.task()
    def work() -> None:
        raise Snooze("some time")

    info = ended(app, queue, page, work.enqueue())
    assert info.cause == "failed"
    assert "Snooze: 'some time'; expected a duration" in str(info.error)


# --- the history ---


def test_every_failed_attempt_keeps_when_where_and_why(app: Jobd, page: Page) -> None:
    """Time, worker, claim, how long, error and traceback."""
    queue = app.queue("q", attempts=2, backoff=Fixed(0))

    @queue.task()
    def work(job: Job) -> None:
        raise ValueError(f"no {job.attempt}")

    runs = ended(app, queue, page, work.enqueue()).history
    assert [run["error"] for run in runs] == ["ValueError: no 1", "ValueError: no 2"]
    for run in runs:
        assert {"kind": "failed", "worker": "q.1"}.items() <= run.items()
        assert {"at", "token", "ran_ms"} <= run.keys()
        assert run["traceback"].startswith("Traceback")
        assert 'in work\n    raise ValueError(f"no {job.attempt}")' in run["traceback"]
        assert "lane.py" not in run["traceback"]
    assert runs[0]["token"] < runs[1]["token"]


@pytest.mark.parametrize(("letter", "least"), [("x", MAX_HISTORY), ("ü", 8)])
def test_a_long_history_keeps_its_first_line_and_the_last_ones(
    app: Jobd, page: Page, letter: str, least: int
) -> None:
    """Bounded in number and size, however large the errors are; tracebacks go first."""
    queue = app.queue("q", attempts=60, backoff=Fixed(0))

    @queue.task()
    def work(job: Job) -> None:
        raise ValueError(f"no {job.attempt} " + letter * 100_000)

    info = ended(app, queue, page, job := work.enqueue())
    numbers = [int(run["error"].split()[2]) for run in info.history]
    assert numbers[0] == 1
    assert numbers[1:] == list(range(61 - len(numbers) + 1, 61))
    assert least <= len(numbers) <= MAX_HISTORY
    assert "traceback" in info.history[0]
    assert "traceback" in info.history[-1]
    raw = app.producer.client.hget(f"jobd:{{q}}:job:{job.id}", "history")
    assert raw is not None
    assert len(raw) <= MAX_HISTORY_BYTES


def test_a_traceback_keeps_both_ends(app: Jobd, page: Page) -> None:
    """The root cause is at its beginning, the last error at its end, and nothing is endless."""
    queue = app.queue("q")

    def deep(n: int) -> None:
        if n == 0:
            raise KeyError("the root")
        deep(n - 1)

    @queue.task()
    def work() -> None:
        try:
            deep(sys.getrecursionlimit() // 2)
        except KeyError as error:
            raise ValueError("x" * 50_000 + "the end") from error

    [run] = ended(app, queue, page, work.enqueue()).history
    assert len(run["traceback"]) < MAX_TRACEBACK + 100
    assert run["traceback"].startswith("Traceback")
    assert "characters left out" in run["traceback"]
    assert run["traceback"].rstrip().endswith("the end")
