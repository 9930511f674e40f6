"""What every executor owes a job: the same contract for inline, threads and asyncio."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.inline import in_state, working
from support.servers import eventually

from jobd import Fixed, Job, JobCancelled, Jobd, JobFailed, SoftTimeout
from jobd.broker.commands import Blame
from jobd.core.errors import Fenced
from jobd.keeper.fleet import Alive
from jobd.keeper.heed import heed
from jobd.seams.scoreboard import Scoreboard
from jobd.seams.scoreboard_page import Page


@dataclass(frozen=True)
class Kind:
    """One executor: how many lanes, and whether its tasks are written as async functions."""

    name: str
    lanes: int
    is_async: bool = False

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Give the function as this executor's tasks are written."""
        if not self.is_async:
            return function

        @functools.wraps(function)
        async def as_async(*args: Any, **kwargs: Any) -> Any:
            found = function(*args, **kwargs)
            while inspect.isgenerator(found):
                try:
                    next(found)
                except StopIteration as end:
                    return end.value
                await asyncio.sleep(0.002)
            return found

        as_async.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
        return as_async

    def waiting(self, ready: Callable[[], bool]) -> Callable[..., Any]:
        """Give a function that waits for something, as tasks of this executor do."""
        if not self.is_async:

            def waits() -> None:
                eventually(ready, within=20)

            return waits

        async def waits_async() -> None:
            while not ready():
                await asyncio.sleep(0.002)

        return waits_async


INLINE = Kind("inline", 1)
THREADS = Kind("threads", 3)
ASYNCIO = Kind("asyncio", 3, is_async=True)
ALONE = Kind("asyncio-1", 1, is_async=True)
MANY = [THREADS, ASYNCIO]


@pytest.fixture(params=[INLINE, THREADS, ASYNCIO, ALONE], ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=MANY, ids=lambda kind: kind.name)
def many(request: pytest.FixtureRequest) -> Kind:
    return request.param  # type: ignore[no-any-return]


def serving(app: Jobd, kind: Kind, page: Page) -> Any:
    return working(app, app.queue("q"), page, concurrency=kind.lanes)


def cells(page: Page) -> int:
    view = page.view()
    return 0 if view is None else len(view.cells)


def test_jobs_end_with_their_results(app: Jobd, page: Page, kind: Kind) -> None:
    """Arguments go in, results come out, the context is the job's own."""

    def add(job: Job, a: int, b: int) -> list[object]:
        return [job.id, a + b]

    task = app.queue("q").task()(kind(add))
    with serving(app, kind, page):
        handles = [task.enqueue(n, 1) for n in range(50)]
        assert [h.result("10s") for h in handles] == [[h.id, n + 1] for n, h in enumerate(handles)]
    assert app.producer.views().counts("q")["completed"] == 50
    assert cells(page) == 0


@pytest.mark.parametrize(
    "error", [ValueError("no"), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError("mine")]
)
def test_whatever_a_task_raises_is_its_failure(
    app: Jobd, page: Page, kind: Kind, error: BaseException
) -> None:
    """It neither ends the worker nor touches a neighbour; attempts are counted to the end."""

    def fails() -> None:
        raise type(error)(*error.args)  # a new one: a traceback grows with each raise

    def works() -> int:
        return 1

    queue = app.queue("q", attempts=2, backoff=Fixed(0))
    bad, good = queue.task()(kind(fails)), queue.task()(kind(works))
    with serving(app, kind, page):
        handle = bad.enqueue()
        with pytest.raises(JobFailed):
            handle.result("10s")
        assert good.enqueue().result("10s") == 1

    info = handle.info()
    assert info is not None
    assert (info.failed, [run["kind"] for run in info.history]) == (2, ["failed", "failed"])
    assert type(error).__name__ in str(info.error)
    assert "lane.py" not in info.history[0]["traceback"]


def test_as_many_run_at_once_as_there_are_lanes(app: Jobd, page: Page, many: Kind) -> None:
    """Not one fewer, and not one more; the rest is left for other workers."""
    go = threading.Event()
    task = app.queue("q").task("waits")(many.waiting(go.is_set))
    with serving(app, many, page):
        for _ in range(many.lanes + 2):
            task.enqueue()
        eventually(lambda: cells(page) == many.lanes)
        assert app.producer.views().counts("q")["waiting"] == 2
        go.set()
        eventually(in_state(app, "completed", many.lanes + 2))


def test_a_free_lane_takes_what_comes_while_another_is_busy(
    app: Jobd, page: Page, many: Kind
) -> None:
    """And what ends is settled at once, whatever its neighbour does."""
    go = threading.Event()
    queue = app.queue("q")
    slow = queue.task("slow")(many.waiting(go.is_set))
    quick = queue.task("quick")(many(lambda: None))
    with serving(app, many, page):
        slow.enqueue()
        eventually(lambda: cells(page) == 1)
        for _ in range(3):
            assert quick.enqueue().result("10s") is None
        assert cells(page) == 1
        go.set()


def test_what_is_claimed_ahead_goes_back_when_no_lane_moves(
    app: Jobd, page: Page, many: Kind
) -> None:
    """A task known as fast, and then slow in every lane: the batch behind it is for others."""
    queue = app.queue("q")
    open_gate = threading.Event()
    open_gate.set()
    task = queue.task("gated")(many.waiting(open_gate.is_set))
    with serving(app, many, page):
        queue.add_many([("gated", {})] * 20)
        eventually(in_state(app, "completed", 20))
        open_gate.clear()
        queue.add_many([("gated", {})] * 20)
        eventually(lambda: app.producer.views().counts("q")["waiting"] == 20 - many.lanes)
        open_gate.set()
        eventually(in_state(app, "completed", 40))
    assert task.name == "gated"


def test_what_would_wait_long_behind_lanes_that_move_goes_back(app: Jobd, page: Page) -> None:
    """A task that was quick so far: what it is claimed for is not kept from others, nor from a pause."""
    never = threading.Event()

    def work(job: Job, span: float) -> int:
        never.wait(span)
        return job.token

    task = app.queue("q").task()(work)
    with serving(app, THREADS, page):
        app.queue("q").add_many([("work", {"span": 0.0})] * 300)
        eventually(in_state(app, "completed", 300))
        slow = app.queue("q").add_many([("work", {"span": 0.03})] * 60)
        tokens = {app.queue("q").job(handle.id).result("20s") for handle in slow}
    assert task.name == "work"
    # All of them at first, one for each free lane from then on.
    assert len(tokens) > 10


def test_only_the_job_that_was_cancelled_is_told(
    app: Jobd, page: Page, board: Scoreboard, many: Kind
) -> None:
    """Each has its own cell to look at."""
    go = threading.Event()

    def body(job: Job) -> str:
        eventually(lambda: job.cancelled or go.is_set(), within=20)
        return "ran"

    async def body_async(job: Job) -> str:
        while not (job.cancelled or go.is_set()):
            await asyncio.sleep(0.002)
        return "ran"

    task = app.queue("q").task("patient")(body_async if many.is_async else body)
    with serving(app, many, page):
        first, second = task.enqueue(), task.enqueue()
        eventually(lambda: cells(page) == 2)
        assert second.cancel() == "asked"
        eventually(lambda: heed([Alive("w.1", "q", 0)], board=board, store=app.producer.store))
        with pytest.raises(JobCancelled):
            second.result("10s")
        go.set()
        assert first.result("10s") == "ran"


def test_a_stop_waits_for_what_runs_and_hands_back_the_rest(
    app: Jobd, page: Page, kind: Kind
) -> None:
    """Nothing is left behind, nothing runs twice."""
    go, started = threading.Event(), threading.Event()

    def ready() -> bool:
        started.set()
        return go.is_set()

    queue = app.queue("q")
    queue.task("waits")(kind.waiting(ready))
    queue.add_many([("waits", {})] * 10)
    with serving(app, kind, page) as running:
        eventually(lambda: cells(page) == kind.lanes)
        running.stop.ask()
        eventually(started.is_set)
        go.set()
        running.thread.join(60)
        assert not running.thread.is_alive()
    counts = app.producer.views().counts("q")
    assert (counts["completed"], counts["waiting"], counts["active"]) == (
        kind.lanes, 10 - kind.lanes, 0,
    )  # fmt: skip


def test_an_ending_outlives_a_broken_connection(app: Jobd, page: Page, kind: Kind) -> None:
    """What ends while Redis is away is settled when it is back, once."""
    go = threading.Event()
    ran: list[int] = []

    def ready() -> bool:
        return go.is_set()

    def counts() -> None:
        ran.append(1)

    queue = app.queue("q")
    waits, quick = queue.task("waits")(kind.waiting(ready)), queue.task("counts")(kind(counts))
    with serving(app, kind, page) as running:
        handle = waits.enqueue()
        eventually(lambda: cells(page) == 1)
        own = app.producer.client.client_id()
        for client in app.producer.client.client_list():
            if int(client["id"]) != own:
                app.producer.client.client_kill_filter(_id=client["id"])
        go.set()
        assert handle.result("10s") is None
        quick.enqueue().result("10s")
    assert ran == [1]
    assert running.error is None


def test_a_flushed_store_is_joined_anew_by_a_busy_worker(app: Jobd, page: Page, kind: Kind) -> None:
    """What runs meanwhile ends as it would; the new store knows nothing of it, and gets nothing."""
    go = threading.Event()
    queue = app.queue("q")
    waits = queue.task("waits")(kind.waiting(go.is_set))
    quick = queue.task("quick")(kind(lambda: 1))
    with serving(app, kind, page) as running:
        waits.enqueue()
        eventually(lambda: cells(page) == 1)
        app.producer.client.flushall()
        go.set()
        assert quick.enqueue().result("20s") == 1
        eventually(lambda: any("reset" in line for line in running.said))
    counts = app.producer.views().counts("q")
    assert (counts["completed"], counts["active"]) == (1, 0)


def test_a_fenced_worker_ends(app: Jobd, page: Page, kind: Kind) -> None:
    """A closed lease is for ever."""
    task = app.queue("q").task("quick")(kind(lambda: None))
    with serving(app, kind, page) as running:
        eventually(lambda: app.producer.store("q").open_leases())
        app.producer.store("q").release("w.1")
        task.enqueue()
        running.thread.join(30)
        assert isinstance(running.error, Fenced)
    assert app.producer.views().counts("q")["waiting"] == 1


def test_what_is_revoked_is_not_started(app: Jobd, page: Page, kind: Kind) -> None:
    """The keeper takes unstarted jobs of a worker that cannot answer; each lane obeys the page."""
    ran: list[int] = []

    def work(n: int) -> None:
        ran.append(n)

    queue = app.queue("q")
    queue.task()(kind(work))
    with serving(app, kind, page):
        eventually(lambda: app.producer.store("q").open_leases())
        page.revoke(2**53)
        queue.add_many([("work", {"n": n}) for n in range(3)])
        eventually(lambda: app.producer.client.hget("jobd:{q}:meta", "claim") is not None)
        assert ran == []
        page.revoke(0)
        eventually(in_state(app, "completed", 3))


def test_a_copy_that_a_task_forks_ends_with_it(app: Jobd, page: Page, kind: Kind) -> None:
    """It reads and writes nothing of the worker's."""

    def forks() -> bool:
        pid = os.fork()
        if pid == 0:
            return False
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

    task = app.queue("q").task()(kind(forks))
    with serving(app, kind, page):
        assert task.enqueue().result("10s") is True
        assert task.enqueue().result("10s") is True
    assert app.producer.views().counts("q")["completed"] == 2


def test_a_copy_of_the_event_loop_runs_no_neighbour(
    app: Jobd, page: Page, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A child that awaits has no loop to await on: it ends there, and says so."""
    effects = tmp_path / "effects"
    queue = app.queue("q")

    @queue.task()
    async def neighbour() -> None:
        for _ in range(20):
            with effects.open("a") as file:
                file.write("x")
            await asyncio.sleep(0)

    @queue.task()
    async def forks() -> int:
        pid = os.fork()
        await asyncio.sleep(0)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    with working(app, queue, page, concurrency=8):
        handles = [neighbour.enqueue(), forks.enqueue(), neighbour.enqueue(), forks.enqueue()]
        assert [handle.result("10s") for handle in handles] == [None, 1, None, 1]
    assert effects.read_text() == "x" * 40
    assert "it may only return" in capfd.readouterr().err


STAIN: ContextVar[str] = ContextVar("STAIN", default="clean")


def test_each_job_has_a_context_of_its_own(app: Jobd, page: Page, many: Kind) -> None:
    """What one sets in a context variable the next does not see."""

    def stains() -> str:
        found = STAIN.get()
        STAIN.set("stained")
        return found

    task = app.queue("q").task()(many(stains))
    with serving(app, many, page):
        assert {task.enqueue().result("10s") for _ in range(10)} == {"clean"}


def test_a_task_that_stops_the_event_loop_stops_nobody(app: Jobd, page: Page) -> None:
    """Neighbours run on, and what comes is taken; the worker ends when it is told to."""
    queue = app.queue("q")

    @queue.task()
    async def stops() -> str:
        asyncio.get_running_loop().stop()
        return "stopped"

    @queue.task()
    async def waits() -> str:
        await asyncio.sleep(0.1)
        return "went on"

    with working(app, queue, page, concurrency=3):
        neighbour = waits.enqueue()
        assert stops.enqueue().result("10s") == "stopped"
        assert neighbour.result("10s") == "went on"
        assert waits.enqueue().result("10s") == "went on"


def test_a_held_event_loop_is_given_nothing_until_it_goes_on(app: Jobd, page: Page) -> None:
    """What it was given goes back once, for others to have, and is not claimed by it again and again."""
    queue = app.queue("q")
    let_go = threading.Event()

    @queue.task()
    async def holds() -> None:
        assert let_go.wait(60)

    @queue.task()
    async def quick() -> str:
        return "ran"

    with working(app, queue, page, concurrency=3):
        held = holds.enqueue()
        eventually(lambda: cells(page) == 1)
        handles = [quick.enqueue(), quick.enqueue()]
        time.sleep(0.3)
        seen = set()
        for _ in range(100):
            seen |= {handle.state() for handle in handles}
            time.sleep(0.005)
        let_go.set()
        held.result("10s")
        assert [handle.result("10s") for handle in handles] == ["ran", "ran"]
    assert seen == {"waiting"}


def test_a_task_that_cancels_all_it_finds_loses_nobody(app: Jobd, page: Page) -> None:
    """Also not those that have a lane and have not begun: what is cancelled so early never runs."""
    queue = app.queue("q")

    @queue.task(priority=1)
    async def cancels() -> int:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        return sum(other.cancel() for other in others)

    @queue.task()
    async def plain() -> str:
        await asyncio.sleep(0)
        return "ran"

    handles = [plain.enqueue(), plain.enqueue()]
    first = cancels.enqueue()
    with working(app, queue, page, concurrency=3):
        assert first.result("10s") == 2
        assert [handle.result("10s") for handle in handles] == ["ran", "ran"]
        assert plain.enqueue().result("10s") == "ran"


def test_sync_tasks_run_beside_async_ones(app: Jobd, page: Page) -> None:
    """A sync task that blocks holds no async one up, and both count as running."""
    go = threading.Event()
    queue = app.queue("q")

    @queue.task()
    def blocks() -> str:
        assert go.wait(60)
        return threading.current_thread().name

    @queue.task()
    async def quick() -> str:
        return threading.current_thread().name

    with working(app, queue, page, concurrency=3) as running:
        slow = [blocks.enqueue(), blocks.enqueue()]
        eventually(lambda: cells(page) == 2)
        assert quick.enqueue().result("10s") == running.thread.name
        go.set()
        names = {handle.result("10s") for handle in slow}
    assert len(names) == 2
    assert running.thread.name not in names


def test_suspects_run_in_ever_less_company(app: Jobd, page: Page, many: Kind) -> None:
    """Three ran when their process crashed: each runs alone from then on, and the rest after it."""
    go = threading.Event()
    most: list[int] = []

    def ready() -> bool:
        most.append(cells(page))
        return go.is_set() or len(most) > 20

    queue = app.queue("q")
    task = queue.task("watched")(many.waiting(ready))
    suspects = [task.enqueue() for _ in range(3)]
    crash(app, [handle.id for handle in suspects])
    task.enqueue()
    with serving(app, many, page):
        for handle in suspects:
            handle.result("10s")
        eventually(in_state(app, "completed", 4))
    assert max(most) == 1
    info = suspects[0].info()
    assert info is not None
    assert info.crashes == 0


def test_a_suspect_that_shall_never_run_again_is_buried(app: Jobd, page: Page, many: Kind) -> None:
    """`max_crashes=1` is a promise, whoever it was that crashed."""
    task = app.queue("q", max_crashes=1).task("once")(many(lambda: None))
    handles = [task.enqueue(), task.enqueue()]
    crash(app, [handle.id for handle in handles])
    with serving(app, many, page):
        for handle in handles:
            with pytest.raises(JobFailed) as failed:
                handle.result("10s")
            assert failed.value.cause == "poison"


def ended(app: Jobd) -> int:
    counts = app.producer.views().counts("q")
    return counts["completed"] + counts["dead"]


def crash(app: Jobd, ids: list[str]) -> None:
    """Let a worker that runs these die."""
    note = b'{"kind":"crash","among":%d}' % len(ids)
    store = app.producer.store("q")
    store.join("dead.1", 30_000)
    assert len(store.claim("dead.1", 30_000, slots=len(ids)).jobs) == len(ids)
    store.release("dead.1", [Blame(job_id, "suspected", note) for job_id in ids])


def test_a_soft_timeout_fails_the_run(app: Jobd, page: Page, kind: Kind) -> None:
    """An ordinary failure: it counts as one, and the history says what it was."""

    def spins() -> None:
        eventually(lambda: False, within=20)

    async def naps() -> None:
        await asyncio.sleep(20)

    queue = app.queue("q", attempts=2, backoff=Fixed(0))
    task = queue.task("long", soft_timeout="50ms")(naps if kind.is_async else spins)
    quick = queue.task("quick")(kind(lambda: 1))
    with serving(app, kind, page):
        handle = task.enqueue()
        with pytest.raises(JobFailed, match="SoftTimeout"):
            handle.result("10s")
        assert [quick.enqueue().result("10s") for _ in range(20)] == [1] * 20

    info = handle.info()
    assert info is not None
    assert (info.failed, info.timeouts) == (2, 0)
    assert [run["kind"] for run in info.history] == ["soft_timeout", "soft_timeout"]
    place = "naps" if kind.is_async else "spins"
    assert place in info.history[0]["traceback"]


def test_a_task_may_clean_up_after_its_soft_timeout(app: Jobd, page: Page, kind: Kind) -> None:
    """What it returns then is its result."""

    def spins() -> str:
        try:
            eventually(lambda: False, within=20)
        except SoftTimeout as error:
            return str(error)
        return "never"

    async def naps() -> str:
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            return "the run is longer than its soft_timeout"
        return "never"

    task = app.queue("q").task("long", soft_timeout="50ms")(naps if kind.is_async else spins)
    with serving(app, kind, page):
        assert task.enqueue().result("10s") == "the run is longer than its soft_timeout"


def test_a_soft_timeout_hits_nobody_else(app: Jobd, page: Page, kind: Kind) -> None:
    """Runs that end at about their deadline: each ends as it ended, and none takes another's."""

    def races(seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            pass

    async def races_async(seconds: float) -> None:
        await asyncio.sleep(seconds)

    queue = app.queue("q")
    queue.task("races", soft_timeout="5ms")(races_async if kind.is_async else races)
    queue.task("quick")(kind(lambda: None))
    with serving(app, kind, page) as running:
        jobs = [
            job
            for n in range(150)
            for job in (("races", {"seconds": 0.004 + n % 20 / 10_000}), ("quick", {}))
        ]
        added = [queue.add(*job) for job in jobs]
        eventually(lambda: ended(app) == len(added), within=30)
    assert ended(app) == len(added)
    assert running.error is None
    quick = [added[n].state() for n in range(1, 300, 2)]
    assert quick == ["completed"] * 150
