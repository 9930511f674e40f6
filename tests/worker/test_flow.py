"""Workers of a queue that is held back: they start nothing too early, nothing too late, and rest."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from support.inline import Running, in_state, new_page, working
from support.servers import eventually

from jobd import Job, Jobd, Throttle
from jobd.seams.scoreboard_page import Page
from jobd.worker import loop
from jobd.worker.promptness import Promptness


def calls(app: Jobd) -> int:
    """Script calls that Redis has carried out."""
    return int(app.producer.client.info("commandstats")["cmdstat_evalsha"]["calls"])


def test_starts_obey_the_limit_in_every_window_and_use_it(app: Jobd, tmp_path: Path) -> None:
    """By three workers, of a backlog, as the tasks themselves see it."""
    queue = app.queue("q", rate_limit={"max": 20, "per": "500ms"})
    starts: list[float] = []

    @queue.task()
    def work() -> None:
        starts.append(time.monotonic())

    queue.add_many([("work", {})] * 80)
    pages = [new_page(made(tmp_path / n)) for n in "abc"]
    with (
        working(app, queue, pages[0], "w.1"),
        working(app, queue, pages[1], "w.2"),
        working(app, queue, pages[2], "w.3"),
    ):
        eventually(in_state(app, "completed", 80))
    starts.sort()
    # Three workers share a GIL here: one may lose it between its look at the clock and its task.
    assert all(b - a >= 0.4 for a, b in zip(starts, starts[20:], strict=False))


def made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def test_limits_hold_with_several_jobs_at_once_in_a_process(app: Jobd, tmp_path: Path) -> None:
    """In threads: none starts before it may, and no more at once than the cap."""
    queue = app.queue("q", rate_limit={"max": 20, "per": "500ms"}, max_active=3)
    starts: list[float] = []
    running: set[int] = set()
    most: list[int] = []

    @queue.task()
    def work(n: int) -> None:
        starts.append(time.monotonic())
        running.add(n)
        most.append(len(running))
        time.sleep(0.002)
        running.discard(n)

    queue.add_many([("work", {"n": n}) for n in range(60)])
    page = new_page(made(tmp_path / "a"), cells=4)
    with working(app, queue, page, concurrency=4):
        eventually(in_state(app, "completed", 60))
    starts.sort()
    assert all(b - a >= 0.4 for a, b in zip(starts, starts[20:], strict=False))
    assert max(most) <= 3


def test_a_limited_worker_rests_until_its_place_is_free(app: Jobd, page: Page) -> None:
    """A claim or two for each place, not one for each hint or each millisecond."""
    queue = app.queue("q", rate_limit={"max": 1, "per": "300ms"})

    @queue.task()
    def work() -> None: ...

    with working(app, queue, page):
        work.enqueue()
        eventually(in_state(app, "completed", 1))
        queue.add_many([("work", {})] * 3)
        before = calls(app)
        for _ in range(20):
            work.enqueue()
        eventually(in_state(app, "completed", 4))
        assert calls(app) - before <= 20 + 60  # what spins asks thousands of times in that second


def test_what_was_claimed_too_long_ago_goes_back_in_a_limited_queue(app: Jobd, page: Page) -> None:
    """Redis counted it then, so a start now would be one too many in some window."""
    queue = app.queue("q", rate_limit={"max": 5, "per": "10s"})
    ran: list[str] = []

    @queue.task()
    def work(job: Job) -> None:
        ran.append(job.id)

    running = Running(app, queue, page)
    handle = work.enqueue()
    talk = running.loop._talk
    talk.open()
    talk.put(slots=1)
    claim = talk.land()
    assert claim is not None
    assert claim.within_ms == 20
    late = threading.Event()
    late.wait(0.2)
    running.executor.run_all(running.stop)
    assert not ran
    talk.leave()
    talk.close()
    assert handle.state() == "waiting"
    assert queue.flow().rate_used == 0


def test_where_the_way_to_redis_is_long_jobs_start_all_the_same() -> None:
    """The quickest way counts for nothing, and a way that grew is learnt."""
    known = Promptness()
    assert known.start_by(10.0, None) is None
    known.note(0.080)
    assert known.start_by(10.0, 10) == pytest.approx(10.090)
    for _ in range(60):
        known.note(0.5)
    assert known.start_by(10.0, 10) == pytest.approx(10.51)
    known.note(0.001)
    assert known.start_by(10.0, 10) == pytest.approx(10.011)


def test_a_pause_is_seen_by_every_worker_and_resume_wakes_them(app: Jobd, page: Page) -> None:
    """What is claimed by then starts within a batch; then nothing does, until it is told."""
    queue = app.queue("q")
    starts: list[float] = []

    @queue.task()
    def work() -> None:
        starts.append(time.monotonic())
        time.sleep(0.001)

    queue.add_many([("work", {})] * 600)
    with working(app, queue, page):
        eventually(lambda: len(starts) > 50)
        assert queue.pause()
        eventually(in_state(app, "active", 0))
        assert not queue.pause()
        before = len(starts)
        work.enqueue()
        eventually(lambda: not app.producer.client.llen("jobd:{q}:wake"))
        assert len(starts) == before
        assert queue.resume()
        eventually(in_state(app, "completed", 601), within=60)


def test_a_task_may_make_its_whole_queue_wait(app: Jobd, page: Page) -> None:
    """It runs again when the time has come, in its place, with all its attempts."""
    queue = app.queue("q", attempts=2)
    ran: list[tuple[str, float, int]] = []

    @queue.task()
    def calls_somebody(job: Job, name: str) -> None:
        ran.append((name, time.monotonic(), job.attempt))
        if len(ran) == 1:
            raise Throttle("400ms", why="429 Too Many Requests")

    with working(app, queue, page) as worker:
        first = calls_somebody.enqueue(name="a")
        eventually(lambda: ran)
        calls_somebody.enqueue(name="b")
        flow = queue.flow()
        eventually(in_state(app, "completed", 2))
        assert "queue.throttled" in worker.said
    assert [(name, attempt) for name, _, attempt in ran] == [("a", 1), ("a", 1), ("b", 1)]
    assert ran[1][1] - ran[0][1] >= 0.4
    assert flow.throttled_by in (first.id, None)
    info = first.info()
    assert info is not None
    assert (info.throttled, info.failed, info.error) == (1, 0, "Throttle: 429 Too Many Requests")


def test_what_stands_behind_a_job_that_throttles_is_not_started(app: Jobd, page: Page) -> None:
    """It would be refused as well; it is back in line at once."""
    queue = app.queue("q")
    ran: list[int] = []

    @queue.task()
    def work(n: int) -> None:
        ran.append(n)
        if n == 50:
            raise Throttle("1h")

    queue.add_many([("work", {"n": n}) for n in range(4000)])
    with working(app, queue, page) as worker:
        worker.desk.costs.note(b"work", 0.0)
        eventually(lambda: queue.flow().throttled_until)
        eventually(in_state(app, "active", 0))
        # At most what an exchange that was under way then brought.
        assert len(ran) <= 51 + 256
        before = len(ran)
        assert queue.resume()
        eventually(lambda: len(ran) > before)


def test_a_task_is_paused_and_the_others_go_on(app: Jobd, page: Page) -> None:
    """From any program, by its name."""
    queue = app.queue("q")

    @queue.task()
    def mail() -> None: ...

    @queue.task()
    def other() -> None: ...

    assert queue.pause(task="mail", why="complaints")
    handles = [mail.enqueue() for _ in range(3)]
    with working(app, queue, page):
        other.enqueue()
        eventually(in_state(app, "completed", 1))
        eventually(in_state(app, "delayed", 3))
        assert handles[0].state() == "delayed"
        assert queue.resume(task="mail")
        eventually(in_state(app, "completed", 4))


def test_an_idle_worker_takes_a_delayed_job_when_it_is_due(app: Jobd, page: Page) -> None:
    """Redis ends a blocking command up to 100 ms late while nothing else comes in."""
    queue = app.queue("q")
    starts: dict[str, float] = {}

    @queue.task()
    def work(job: Job) -> None:
        starts[job.id] = time.time()

    with working(app, queue, page):
        handles = []
        for ms in (130, 270, 410):
            handles.append(work.using(delay=f"{ms}ms").enqueue())
            eventually(in_state(app, "delayed", len(handles)))
        eventually(in_state(app, "completed", 3))
    late = []
    for handle in handles:
        info = handle.info()
        assert info is not None
        due = int(app.producer.client.hget(f"jobd:{{q}}:job:{handle.id}", "due") or 0)
        late.append(starts[handle.id] - due / 1000)
    assert min(late) >= 0


def test_at_most_so_many_are_active_over_all_workers(app: Jobd, tmp_path: Path) -> None:
    """And a place that is free is taken at once, without polling."""
    queue = app.queue("q", max_active=2)
    spans: list[tuple[float, float]] = []

    @queue.task()
    def work() -> None:
        began = time.monotonic()
        time.sleep(0.003)
        spans.append((began, time.monotonic()))

    queue.add_many([("work", {})] * 120)
    pages = [new_page(made(tmp_path / n)) for n in "abc"]
    with (
        working(app, queue, pages[0], "w.1"),
        working(app, queue, pages[1], "w.2"),
        working(app, queue, pages[2], "w.3"),
    ):
        eventually(in_state(app, "completed", 120))
    changes = sorted([(a, 1) for a, _ in spans] + [(b, -1) for _, b in spans])
    active = most = 0
    for _, change in changes:
        active += change
        most = max(most, active)
    assert most == 2


def test_the_last_job_of_a_worker_that_leaves_frees_its_place(
    app: Jobd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who rests is told; by himself he would not look so soon."""
    monkeypatch.setattr(loop, "IDLE_FOR", 60.0)
    monkeypatch.setattr(loop, "LINK_TIMEOUT", 61.0)
    queue = app.queue("q", max_active=1)
    gate = threading.Event()

    @queue.task()
    def work(waits: bool) -> None:
        if waits:
            gate.wait(30)

    work.enqueue(waits=True)
    pages = [new_page(made(tmp_path / n)) for n in "ab"]
    with working(app, queue, pages[1], "w.2") as other, working(app, queue, pages[0], "w.1") as one:
        eventually(in_state(app, "active", 1))
        busy = one if one.executor.lane.running else other
        work.enqueue(waits=False)
        eventually(lambda: not app.producer.client.llen("jobd:{q}:wake"))
        busy.stop.ask()
        gate.set()
        eventually(in_state(app, "completed", 2))
