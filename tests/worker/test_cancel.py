"""Cancelling a job that runs: told through the page, recorded as what happened."""

from __future__ import annotations

import threading

import pytest
from support.inline import in_state, working
from support.servers import eventually

from jobd import Fixed, Job, JobCancelled, Jobd
from jobd.keeper.fleet import Alive
from jobd.keeper.heed import heed
from jobd.seams.scoreboard import Scoreboard
from jobd.seams.scoreboard_page import Page


def keeper_looks(app: Jobd, board: Scoreboard) -> int:
    """Let the keeper do its duty once for the worker of this test."""
    return heed([Alive("w.1", "q", 0)], board=board, store=app.producer.store)


@pytest.mark.parametrize("raises", [False, True])
def test_a_run_that_is_told_and_ends_is_cancelled(
    app: Jobd, page: Page, board: Scoreboard, raises: bool
) -> None:
    """However it ends; who waits for the result is told, and there is a line in its history."""
    queue = app.queue("q", attempts=5)

    @queue.task()
    def patient(job: Job) -> str:
        eventually(lambda: job.cancelled)
        if raises:
            raise ValueError("cleaned up")
        return "unwanted"

    with working(app, queue, page):
        handle = patient.enqueue()
        eventually(in_state(app, "active", 1))
        assert handle.cancel() == "asked"
        eventually(lambda: keeper_looks(app, board))
        with pytest.raises(JobCancelled):
            handle.result("10s")

    info = handle.info()
    assert info is not None
    assert [run["kind"] for run in info.history] == ["cancelled"]
    assert info.history[0].get("error") == ("ValueError: cleaned up" if raises else None)
    assert info.result is None
    assert app.producer.store("q").heed() == []


def test_a_run_that_never_looks_ends_as_it_would_have(app: Jobd, page: Page) -> None:
    """Its work is done: completed is the truth."""
    queue = app.queue("q")
    go = threading.Event()

    @queue.task()
    def deaf() -> str:
        assert go.wait(60)
        return "done"

    with working(app, queue, page):
        handle = deaf.enqueue()
        eventually(in_state(app, "active", 1))
        assert handle.cancel() == "asked"
        go.set()
        assert handle.result("10s") == "done"
    assert handle.cancel() == "completed"


def test_a_failed_run_that_was_cancelled_is_not_repeated(app: Jobd, page: Page) -> None:
    """Also when it never looked: its retry ends as cancelled, at once."""
    queue = app.queue("q", attempts=5, backoff=Fixed("1h"))
    go, runs = threading.Event(), []

    @queue.task()
    def fails() -> None:
        runs.append(1)
        assert go.wait(60)
        raise ValueError("no")

    with working(app, queue, page):
        handle = fails.enqueue()
        eventually(in_state(app, "active", 1))
        assert handle.cancel() == "asked"
        go.set()
        with pytest.raises(JobCancelled):
            handle.result("10s")
    assert len(runs) == 1
    info = handle.info()
    assert info is not None
    assert (info.failed, info.error) == (1, "ValueError: no")


def test_an_order_means_one_run_and_no_later_one(app: Jobd, page: Page, board: Scoreboard) -> None:
    """The same job, retried, in the same cell of the same worker: it was not cancelled."""
    queue = app.queue("q")
    told: list[bool] = []
    go = threading.Event()

    @queue.task()
    def work(job: Job) -> None:
        if told:
            told.append(job.cancelled)
            return
        eventually(lambda: job.cancelled)
        told.append(True)
        assert go.wait(60)

    with working(app, queue, page):
        handle = work.enqueue()
        eventually(in_state(app, "active", 1))
        handle.cancel()
        eventually(lambda: keeper_looks(app, board) and told)
        go.set()
        eventually(lambda: handle.state() == "cancelled")
        assert handle.retry() == "retried"
        handle.result("10s")
    assert told == [True, False]


def test_a_look_costs_nothing_while_nothing_runs(app: Jobd, page: Page, board: Scoreboard) -> None:
    """An idle queue is not asked about orders."""
    queue = app.queue("q")

    @queue.task()
    def work() -> None: ...

    with working(app, queue, page):
        work.enqueue().result("10s")
        client = app.producer.client
        client.hset("jobd:{q}:orders", "x", "cancel 1 w.1")
        assert keeper_looks(app, board) == 0
        assert client.hlen("jobd:{q}:orders") == 1
