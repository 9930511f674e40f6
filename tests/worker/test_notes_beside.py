"""Notes, steps and hooks where many jobs run at once: in threads, and on an event loop."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from support.inline import in_state, new_page, working
from support.servers import eventually

from jobd import Job, Jobd, JobEvent, Queue
from jobd.seams.scoreboard_page import Page

AT_ONCE = 8


@pytest.fixture
def page(tmp_path: Path) -> Page:
    return new_page(tmp_path, AT_ONCE)


@pytest.fixture(params=["threads", "asyncio"])
def q(request: pytest.FixtureRequest, app: Jobd) -> Queue:
    """A queue whose task says much and takes steps; sync or async."""
    queue = app.queue("q", attempts=2, backoff=lambda failures: 0.001)
    calls: dict[str, int] = {}

    def charge(job_id: str) -> str:
        calls[job_id] = calls.get(job_id, 0) + 1
        return f"receipt {calls[job_id]}"

    async def acharge(job_id: str) -> str:
        await asyncio.sleep(0)
        return charge(job_id)

    def speak(job: Job) -> None:
        for i in range(10):
            job.log(f"{job.attempt}.{i}")
        job.progress(job.attempt / 2)

    if request.param == "threads":

        @queue.task("work")
        def work(job: Job, fails: bool) -> str:
            receipt = job.once("charge", charge, job.id)
            speak(job)
            if fails and job.attempt == 1:
                raise ConnectionError
            return receipt

    else:

        @queue.task("work")
        async def awork(job: Job, fails: bool) -> str:
            receipt = await job.aonce("charge", acharge, job.id)
            speak(job)
            await asyncio.sleep(0)
            if fails and job.attempt == 1:
                raise ConnectionError
            return receipt

    return queue


def test_no_word_and_no_step_is_lost_or_doubled(app: Jobd, q: Queue, page: Page) -> None:
    """Of sixty jobs, eight at a time, every second of which is tried again."""
    handles = q.add_many([("work", {"fails": bool(i % 2)}) for i in range(60)])
    with working(app, q, page, concurrency=AT_ONCE):
        eventually(in_state(app, "completed", 60))
    for i, handle in enumerate(handles):
        info = handle.info()
        assert info is not None
        assert info.result == "receipt 1"
        assert [line.text for line in info.logs] == [
            f"{attempt}.{n}" for attempt in range(1, 2 + i % 2) for n in range(10)
        ]
        assert info.progress is not None
        assert info.progress.fraction == (1 + i % 2) / 2


def test_hooks_hear_of_every_run(app: Jobd, q: Queue, page: Page) -> None:
    """Plain ones and async ones, in whatever thread or loop the run is."""
    heard: list[JobEvent] = []
    lock = threading.Lock()

    def note(event: JobEvent) -> None:
        with lock:
            heard.append(event)

    async def anote(event: JobEvent) -> None:
        await asyncio.sleep(0)
        note(event)

    for event in ("started", "completed", "failed"):
        app.on(event)(note)
        app.on(event)(anote)
    q.add_many([("work", {"fails": bool(i % 2)}) for i in range(20)])
    with working(app, q, page, concurrency=AT_ONCE) as worker:
        eventually(in_state(app, "completed", 20))
        eventually(lambda: len(heard) == 2 * (30 + 20 + 10))
        assert "hook.failed" not in worker.said
    counts: dict[Any, int] = {}
    for told in heard:
        counts[told.event, told.attempt] = counts.get((told.event, told.attempt), 0) + 1
    assert counts == {
        ("started", 1): 40, ("started", 2): 20, ("failed", 1): 20,
        ("completed", 1): 20, ("completed", 2): 20,
    }  # fmt: skip


def test_a_death_is_told_beside_other_jobs(app: Jobd, q: Queue, page: Page) -> None:
    """By a job, which an executor of any kind runs; async hooks to their end."""
    heard: list[str] = []

    @app.on("dead")
    async def dead(event: JobEvent) -> None:
        await asyncio.sleep(0)
        heard.append(event.id)

    with working(app, q, page, concurrency=AT_ONCE):
        ids = {q.add("work", {"fails": "maybe"}).id for _ in range(10)}
        eventually(lambda: len(heard) == 10)
    assert set(heard) == ids
