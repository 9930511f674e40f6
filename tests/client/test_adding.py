"""Adding jobs: what is accepted, what is refused, and what a producer is told."""

from __future__ import annotations

import asyncio
import inspect
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from support.servers import eventually, running, server_programs

from jobd import (
    BrokerUnavailable,
    DeclarationError,
    Job,
    Jobd,
    NotSerializable,
    OptionError,
    PayloadTooLarge,
    ResultTimeout,
)
from jobd.broker.bites import ADD_BITE
from jobd.broker.connection import connect, translated
from jobd.client.queue import Queue


@dataclass
class _Point:
    x: float


@pytest.fixture
def app(redis_url: str) -> Jobd:
    return Jobd(redis_url)


def test_a_job_is_added_and_seen(app: Jobd) -> None:
    """Arguments by position and by name become one JSON object."""
    queue = app.queue("email", attempts=5)

    @queue.task("welcome", priority=1)
    def welcome(user_id: int, address: str, at: datetime | None = None) -> None: ...

    handle = welcome.enqueue(7, address="a@b.example", at=datetime(2026, 1, 2, tzinfo=UTC))
    info = handle.info()

    assert (handle.outcome, handle.state()) == ("enqueued", "waiting")
    assert info is not None
    assert info.args == {"user_id": 7, "address": "a@b.example", "at": "2026-01-02T00:00:00Z"}
    assert (info.priority, info.task) == (1, "welcome")


@pytest.mark.parametrize("priority", [-8192, 0, 5, 8191])
def test_a_priority_is_told_as_it_was_given(app: Jobd, priority: int) -> None:
    """Zero is a priority too, not the absence of one."""
    info = app.queue("q").add("work", {}, priority=priority).info()

    assert info is not None
    assert info.priority == priority


def test_the_same_job_id_is_the_same_job(app: Jobd) -> None:
    """Truthful, never silent."""
    queue = app.queue("q")

    @queue.task()
    def work(n: int) -> None: ...

    assert work.using(job_id="trial-7").enqueue(1).outcome == "enqueued"
    again = work.using(job_id="trial-7").enqueue(2)
    assert (again.outcome, again.info().args) == ("duplicate", {"n": 1})


def test_a_delay_is_a_delay(app: Jobd) -> None:
    """State and due time say so."""
    handle = app.queue("q").add("later", {}, delay="5m", attempts=3)
    info = handle.info()

    assert info is not None
    assert info.state == "delayed"
    assert info.due_at - info.enqueued_at == 300_000
    assert info.options == {"attempts": 3}


def test_many_are_added_in_order(app: Jobd) -> None:
    """More than one round trip's worth."""
    queue = app.queue("q")
    handles = queue.add_many([("t", {"i": i}) for i in range(2500)])

    assert app.producer.views().counts("q")["waiting"] == 2500
    assert [h.id for h in handles[:50]] == app.producer.views().jobs("q", "waiting", 50)


def test_nothing_is_added_when_one_of_many_is_wrong(app: Jobd) -> None:
    """All are checked before the first is added."""
    queue = app.queue("q")
    with pytest.raises(OptionError, match="did you mean 'priority'"):
        queue.add_many([("t", {}), ("t", {}, {"prioritty": 1})])

    assert app.producer.views().counts("q")["waiting"] == 0


def test_asynchronous_adding_is_the_same_adding(app: Jobd) -> None:
    """And result() refuses to block a loop."""
    queue = app.queue("q")

    @queue.task()
    def work(n: int) -> int:
        return n

    async def main() -> None:
        handle = await work.aenqueue(1)
        assert await asyncio.to_thread(handle.state) == "waiting"
        with pytest.raises(RuntimeError, match=r"await handle\.aresult"):
            handle.result()
        with pytest.raises(ResultTimeout):
            await handle.aresult(timeout="10ms")
        await app.producer.async_client.aclose()

    asyncio.run(main())


def test_a_busy_event_loop_adds_and_waits_for_many_at_once(app: Jobd) -> None:
    """A web server's: no limit of the client's own stands in the way."""
    queue = app.queue("q")

    async def main() -> None:
        handles = await asyncio.gather(*(queue.aadd("t", {"n": n}) for n in range(150)))
        waits = (handle.aresult(timeout="100ms") for handle in handles)
        ends = await asyncio.gather(*waits, return_exceptions=True)
        assert {type(end) for end in ends} == {ResultTimeout}
        await app.producer.async_client.aclose()

    asyncio.run(main())
    assert app.producer.views().counts("q")["waiting"] == 150


@pytest.mark.parametrize(
    ("args", "error", "said"),
    [
        ({"x": object()}, NotSerializable, "pass ids and plain values"),
        ({"x": float("nan")}, NotSerializable, "NaN"),
        ({"x": _Point(float("nan"))}, NotSerializable, "NaN"),
        ({"x": "y" * 200_000}, PayloadTooLarge, "131072; store the data elsewhere"),
    ],
)
def test_what_cannot_travel_is_refused_where_it_was_written(
    app: Jobd, args: dict[str, object], error: type[Exception], said: str
) -> None:
    """With what to do instead, and nothing added."""
    with pytest.raises(error, match=said):
        app.queue("q").add("t", args)
    assert app.producer.views().counts("q")["waiting"] == 0


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"meta": {"load": float("nan")}}, "NaN"),
        ({"meta": {"load": [{"deep": float("inf")}]}}, "NaN"),
        ({"unique": {"key": "\ud800"}}, "expected some text"),
    ],
)
def test_a_label_that_would_change_on_the_way_is_refused(
    app: Jobd, option: dict[str, object], said: str
) -> None:
    """Instead of arriving as null, or failing in the encoder."""
    with pytest.raises(OptionError, match=said):
        app.queue("q").add("t", **option)
    assert app.queue("q").add("t", meta={"load": None}).info().meta == {"load": None}


@pytest.mark.parametrize("timeout", [-1, 0, float("nan"), "abc", "2h", True, None])
def test_a_bound_that_is_none_is_refused_where_the_app_is_made(timeout: Any) -> None:
    """Not by the socket, at the first job."""
    with pytest.raises(OptionError, match=r"Jobd: timeout: .*; expected"):
        Jobd(timeout=timeout)


def test_the_bound_is_a_duration(redis_url: str) -> None:
    """As everywhere."""
    assert Jobd(redis_url, timeout="2s").queue("q").add("t").outcome == "enqueued"


@pytest.mark.parametrize("name", ["", "a b", "x" * 129, "späm"])
def test_a_bad_task_name_is_refused(app: Jobd, name: str) -> None:
    """When adding, with what a name is."""
    with pytest.raises(OptionError, match="1 to 128 characters"):
        app.queue("q").add(name, {})


def test_a_wrong_call_is_a_type_error(app: Jobd) -> None:
    """As calling the function would be, with the nearest right name."""
    queue = app.queue("q")

    @queue.task()
    def work(user_id: int, *, note: str = "") -> None: ...

    for call, said in (
        (work.enqueue, "missing user_id"),
        (lambda: work.enqueue(user=1), "unknown argument 'user'"),
        (lambda: work.enqueue(1, 2), "at most 1"),
        (lambda: work.enqueue(1, user_id=2), "given twice"),
    ):
        with pytest.raises(TypeError, match=said):
            call()


def test_an_option_among_the_arguments_is_told_where_it_belongs(app: Jobd) -> None:
    """`enqueue(priority=1)` is the first guess of many; a parameter of that name stays one."""
    task = app.queue("q").task("f")(lambda a: a)
    with pytest.raises(TypeError, match=r"it is an option: .*using\(priority=\.\.\.\)\.enqueue"):
        task.enqueue(1, priority=3)
    with pytest.raises(TypeError) as other:
        task.enqueue(1, b=3)
    assert "using" not in str(other.value)


def test_options_are_given_step_by_step(app: Jobd) -> None:
    """What is said later goes before; what was made on the way stays as it is."""
    task = app.queue("q").task("f")(lambda a: a)
    urgent = task.using(priority=1, group="g")
    both = urgent.using(priority=2, delay="1h").enqueue(1)
    info, first = both.info(), urgent.enqueue(1).info()
    assert info
    assert first
    assert (info.priority, info.group, info.state) == (2, "g", "delayed")
    assert (first.priority, first.state) == (1, "waiting")
    with pytest.raises(OptionError, match="did you mean 'delay'"):
        urgent.using(delai=1)


def test_a_task_looks_like_its_function(app: Jobd) -> None:
    """To help(), inspect and what makes documentation."""

    def f(a: int, b: int = 2) -> int:
        """Add."""
        return a + b

    task = app.queue("q").task("another-name")(f)
    assert (task.__name__, task.__doc__, task.__module__) == ("f", "Add.", __name__)  # type: ignore[attr-defined]
    assert inspect.signature(task) == inspect.signature(f)
    assert task.name == "another-name"


def test_declarations_that_cannot_work_are_refused(app: Jobd) -> None:
    """When they are made, not when the job runs."""
    queue = app.queue("q")

    async def generator_async() -> AsyncIterator[int]:
        yield 1

    def job_late(x: int, job: Job) -> None: ...
    def any_number(*args: int) -> None: ...
    def custom(x: socket.socket) -> None: ...
    def job_by_name(*, job: Job) -> None: ...
    def job_or_none(job: Job | None = None) -> None: ...
    def generator() -> Iterator[int]:
        yield 1

    for function, said in (
        (generator_async, "a generator function"),
        (job_late, "move it to the front"),
        (any_number, "use a list"),
        (custom, "cannot be read from JSON"),
        (job_by_name, "move it to the front"),
        (job_or_none, "annotated `Job`"),
        (generator, "a generator function"),
        (partial(print, 1), "wrap it in one"),
    ):
        with pytest.raises(DeclarationError, match=said):
            queue.task("wrong")(function)
    queue.task("twice")(lambda: None)
    with pytest.raises(DeclarationError, match="declared twice"):
        queue.task("twice")(lambda: None)


def test_rich_types_arrive_converted(app: Jobd) -> None:
    """JSON on the way, annotations at the end."""
    queue = app.queue("q")

    @queue.task()
    def rich(a: UUID, b: Decimal, c: list[datetime], d: int = 4) -> None: ...

    raw = rich.signature.encode(
        (), {"a": UUID(int=1), "b": Decimal("1.50"), "c": [datetime(2026, 1, 1, tzinfo=UTC)]}
    )
    expected = (UUID(int=1), Decimal("1.50"), [datetime(2026, 1, 1, tzinfo=UTC)], 4)
    assert (expected, {}) == rich.signature.decode(raw)


@pytest.mark.parametrize(
    "given", [{"a": 1}, {"a": 1, "b": 2}, {"a": 1, "c": 3}, {"a": 1, "b": 2, "c": 3}]
)
def test_a_call_arrives_as_it_was_made(app: Jobd, given: dict[str, int]) -> None:
    """Positional-only, plain and keyword-only parameters, with and without their defaults."""

    def function(a: int, /, b: int = 7, *, c: int = 8) -> tuple[int, int, int]:
        return a, b, c

    task = app.queue("q").task()(function)
    args, kwargs = task.signature.decode(task.signature.encode((), given))

    assert (given["a"], given.get("b", 7), given.get("c", 8)) == function(*args, **kwargs)


def test_a_server_that_is_not_there_is_a_typed_error_with_the_jobs_id() -> None:
    """Within a bound, and it says that nothing was sent."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, not listening: refused at once
        app = Jobd(f"redis://127.0.0.1:{held.getsockname()[1]}/0")
        with pytest.raises(BrokerUnavailable) as refused:
            app.queue("q").add("t", {}, job_id="mine")

    assert (refused.value.job_id, refused.value.outcome_unknown) == ("mine", False)


def test_a_server_that_does_not_answer_leaves_the_outcome_unknown() -> None:
    """Connected, then silence."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        app = Jobd(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", timeout=0.1)
        with pytest.raises(BrokerUnavailable) as unknown:
            app.queue("q").add("t", {})

    assert unknown.value.outcome_unknown
    assert unknown.value.job_id


def test_an_add_many_that_is_cut_off_says_what_is_in_and_how_to_go_on(tmp_path: Path) -> None:
    """The rest is added again by its ids, and nothing twice."""
    jobs = [("t", {"n": n}) for n in range(60_000)]
    program = next(iter(server_programs().values()))
    with running(program, tmp_path) as url:
        app = Jobd(url)
        queue = app.queue("q")

        def end_it_soon() -> None:
            client = connect(url)
            eventually(lambda: client.zcard("jobd:{q}:waiting") > 1000)
            with suppress(BrokerUnavailable), translated("the server"):
                client.shutdown(nosave=True)
            client.close()

        ending = threading.Thread(target=end_it_soon)
        ending.start()
        with pytest.raises(BrokerUnavailable, match="job_ids") as cut:
            queue.add_many(jobs)
        ending.join(30)

    sent = cut.value.added + len(cut.value.job_ids)
    assert (cut.value.added % ADD_BITE, sent % 1000) == (0, 0)
    assert 1000 <= cut.value.added < len(jobs)
    with running(program, tmp_path) as url:
        app = Jobd(url)
        again = [
            (task, args, {"job_id": job_id})
            for (task, args), job_id in zip(
                jobs[cut.value.added :], cut.value.job_ids, strict=False
            )
        ]
        added = app.queue("q").add_many(again)
        assert [handle.id for handle in added] == list(cut.value.job_ids)


def test_a_soft_timeout_that_never_comes_about_is_refused_where_it_is_written(app: Jobd) -> None:
    """On the queue, the task and the call, against what the levels above say."""
    said = "soft_timeout .*; expected less than the timeout, which is"
    with pytest.raises(OptionError, match=said):
        app.queue("refused", soft_timeout="1h")  # the timeout is 30m when nobody says it
    queue = app.queue("q", timeout="10s")
    with pytest.raises(OptionError, match=said):
        queue.task("wrong", soft_timeout="10s")(lambda: None)
    task = queue.task("right", soft_timeout="9s")(lambda: None)
    with pytest.raises(OptionError, match=said):
        task.using(timeout="8s")
    with pytest.raises(OptionError, match=said):
        queue.add("right", {}, soft_timeout="3s", timeout="2s")
    task.using(timeout=0, soft_timeout="20s")
    task.using(timeout="8s", soft_timeout=0)


ADDS: dict[str, Callable[[Queue], object]] = {
    "one": lambda queue: queue.add("t", {}),
    "delayed": lambda queue: queue.add("t", {}, delay="1h"),
    "locked": lambda queue: queue.add("t", {}, unique=True),
    "many": lambda queue: queue.add_many([("t", {})] * 600),
    "loop": lambda queue: asyncio.run(_on_a_loop(queue)),
}


async def _on_a_loop(queue: Queue) -> None:
    await queue.aadd_many([("t", {})] * 600)
    await queue._producer.async_client.aclose()


@pytest.mark.parametrize("add", ADDS)
def test_a_queue_that_is_added_to_is_known_also_after_redis_was_emptied(
    redis_url: str, add: str
) -> None:
    """Nobody else may know of it: a producer's own queue, before its first worker."""
    client = connect(redis_url)
    queue = Jobd(redis_url).queue("q")
    for _ in range(2):
        ADDS[add](queue)
        client.flushall()
        ADDS[add](queue)
        assert client.smembers("jobd:queues") == {b"q"}
        found = client.zcard("jobd:{q}:waiting") + client.zcard("jobd:{q}:delayed")
        assert found == (600 if add in ("many", "loop") else 1)


@pytest.mark.parametrize("add", ["one", "delayed", "locked"])
def test_a_known_queue_costs_one_call_a_job(redis_url: str, add: str) -> None:
    """Also one to which only delayed jobs were added."""
    client = connect(redis_url)
    queue = Jobd(redis_url).queue("q")
    ADDS[add](queue)
    client.config_resetstat()
    ADDS[add](queue)
    stats = client.info("commandstats")
    assert stats["cmdstat_evalsha"]["calls"] == 1
    assert "cmdstat_sadd" not in stats
