"""What a job finds of what the one before has done to their process. In a process of its own each."""

from __future__ import annotations

import contextvars
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from support.forked import forked
from support.inline import Running, new_page
from support.servers import eventually

from jobd import Jobd, JobFailed, Queue

# Bound before anybody stands before it: nobody is told of what this does.
untold_umask = os.umask
Meet = Callable[[Jobd, Queue], Any]


def work(url: str, tmp_path: Any, meet: Meet, *, lanes: int = 1) -> Any:
    """Run a worker as a daemon does, in the main thread of a process; `meet` declares tasks, adds jobs,
    and gives a function that asks for what came of them."""

    def child() -> Any:
        app = Jobd(url)
        queue = app.queue("q", attempts=1)
        ask = meet(app, queue)
        page = new_page(tmp_path, cells=lanes)
        worker = Running(app, queue, page, concurrency=lanes, pristine=True)
        answers: list[Any] = []

        def asks() -> None:
            try:
                answers.append(ask())
            except BaseException as error:
                answers.append(error)
            finally:
                worker.stop.ask()

        worker.pristine.start()
        asking = threading.Thread(target=asks)
        asking.start()
        worker.loop.run()
        asking.join()
        return answers[0], [(e.event, getattr(e, "what", None)) for e in worker.events]

    return forked(child)


def test_the_next_of_a_batch_finds_what_the_first_found(redis_url: str, tmp_path: Any) -> None:
    """Quick jobs run in batches, and a look costs as much as one: but who moves is told of at once."""

    def meet(_app: Jobd, queue: Queue) -> Any:
        @queue.task()
        def moves() -> None:
            os.chdir("/")
            os.environ["LEFT"] = "here"

        @queue.task()
        def where() -> list[Any]:
            return [os.getcwd(), os.environ.get("LEFT")]

        def ask() -> Any:
            first = where.enqueue().result("20s")
            moves.enqueue().result("20s")
            # Known as quick by now: they come together.
            handles = queue.add_many([("moves", {}), ("where", {})] * 100)
            return first, [h.result("20s") for h in list(handles)[1::2]]

        return ask

    (first, later), said = work(redis_url, tmp_path, meet)
    assert first == [os.getcwd(), None]
    assert [first] * 100 == later
    assert said.count(("process.changed", ("cwd", "environment"))) == 1


def test_who_changes_things_untold_runs_alone_from_then_on(redis_url: str, tmp_path: Any) -> None:
    """Its first job is claimed alone and looked after; then it is as a slow one."""

    def meet(_app: Jobd, queue: Queue) -> Any:
        @queue.task()
        def masks() -> None:
            untold_umask(0o7)

        @queue.task()
        def mask() -> int:
            found = untold_umask(0o77)
            untold_umask(found)
            return found

        def ask() -> Any:
            first = mask.enqueue().result("20s")
            masks.enqueue().result("20s")
            handles = queue.add_many([("masks", {}), ("mask", {})] * 50)
            return first, [h.result("20s") for h in list(handles)[1::2]]

        return ask

    (first, later), said = work(redis_url, tmp_path, meet)
    assert [first] * 50 == later
    assert ("process.changed", ("umask",)) in said


def test_what_a_quick_job_changes_untold_is_found_in_the_middle_of_a_long_line(
    redis_url: str, tmp_path: Any
) -> None:
    """Its task was clean when it was looked after; nobody waits for the line to end to look again."""
    many, changes = 6000, 700

    def meet(_app: Jobd, queue: Queue) -> Any:
        @queue.task()
        def quick(number: int) -> int:
            if number == changes:
                untold_umask(0o7)
            found = untold_umask(0o77)
            untold_umask(found)
            return found

        def ask() -> Any:
            first = quick.enqueue(0).result("20s")
            handles = queue.add_many([("quick", {"number": n}) for n in range(1, many + 1)])
            return first, list(handles)[-1].result("20s")

        return ask

    (first, last), said = work(redis_url, tmp_path, meet)
    assert first == last
    assert said.count(("process.changed", ("umask",))) == 1


def test_soft_timeouts_work_again_after_a_task_that_used_their_signal(
    redis_url: str, tmp_path: Any
) -> None:
    """SIGALRM and its timer are ours between jobs, whoever has them meanwhile."""

    def meet(_app: Jobd, queue: Queue) -> Any:
        @queue.task(soft_timeout="100ms", timeout="20s")
        def overstays() -> None:
            time.sleep(10)

        @queue.task()
        def takes_it() -> None:
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
            signal.alarm(0)

        def outcome() -> str:
            try:
                overstays.enqueue().result("20s")
            except JobFailed as failed:
                return str(failed)
            return "ended well"

        def ask() -> Any:
            return outcome(), takes_it.enqueue().result("20s"), outcome()

        return ask

    (before, _, after), _ = work(redis_url, tmp_path, meet)
    assert "SoftTimeout" in before
    assert "SoftTimeout" in after


def test_what_is_bound_to_a_context_ends_with_the_batch(redis_url: str, tmp_path: Any) -> None:
    """A job's context variables are not the next one's."""

    def meet(_app: Jobd, queue: Queue) -> Any:
        tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")

        @queue.task()
        def asks(name: str) -> str:
            found = tenant.get()
            tenant.set(name)
            return found

        return lambda: [asks.enqueue(name=n).result("20s") for n in ("a", "b", "c")]

    found, _ = work(redis_url, tmp_path, meet)
    assert found == ["nobody"] * 3


@pytest.mark.parametrize("is_async", [False, True], ids=["threads", "asyncio"])
def test_where_several_run_nothing_is_put_back_under_a_neighbour(
    redis_url: str, tmp_path: Any, is_async: bool
) -> None:
    """A process has one directory: it is put back when nobody runs in it who may rely on that."""
    go, seen = tmp_path / "go", tmp_path / "seen"

    def meet(_app: Jobd, queue: Queue) -> Any:
        def moves() -> None:
            os.chdir("/")
            seen.touch()

        def stays() -> list[str]:
            eventually(seen.exists)
            found = [os.getcwd()]
            eventually(go.exists)
            return [*found, os.getcwd()]

        if is_async:

            @queue.task("moves")
            async def moves_async() -> None:
                moves()
        else:
            queue.task("moves")(moves)
        queue.task("stays")(stays)

        @queue.task()
        def where() -> str:
            return os.getcwd()

        def ask() -> Any:
            stay = queue.add("stays")
            queue.add("moves").result("20s")
            meanwhile = queue.add("where").result("20s")
            go.touch()
            return stay.result("20s"), meanwhile, queue.add("where").result("20s")

        return ask

    (stayed, meanwhile, after), _ = work(redis_url, tmp_path, meet, lanes=3)
    assert (["/", "/"], "/", os.getcwd()) == (stayed, meanwhile, after)
