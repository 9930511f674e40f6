"""Waiting for a job's end: told at once, by the truth, over few connections."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.inline import new_page, working
from support.servers import eventually, running, server_programs

from jobd import BrokerUnavailable, JobCancelled, Jobd, JobFailed, JobHandle, Queue, ResultGone
from jobd.broker.commands import Completed, Ending
from jobd.broker.connection import Client, translated
from jobd.broker.store import Store
from jobd.client import waiting
from jobd.core.errors import ResultTimeout
from jobd.seams.scoreboard_page import Page

FIGURES = "t|0|0|0"
LEASE = 30_000
Wait = Callable[[JobHandle[Any]], Any]


@pytest.fixture
def app(redis_url: str) -> Iterator[Jobd]:
    made = Jobd(redis_url)
    yield made
    made.producer.client.close()


@pytest.fixture
def q(app: Jobd) -> Queue:
    return app.queue("q")


@pytest.fixture
def page(tmp_path: Path) -> Page:
    return new_page(tmp_path)


def in_a_loop(app: Jobd, work: Callable[[], Awaitable[Any]]) -> Any:
    """Run on an event loop, and let go of its connections."""

    async def main() -> Any:
        try:
            return await work()
        finally:
            await app.producer.async_client.aclose()
            assert len(asyncio.all_tasks()) == 1

    return asyncio.run(main())


@pytest.fixture(params=["result", "aresult"])
def wait(request: pytest.FixtureRequest, app: Jobd) -> Wait:
    """Both ways to wait."""
    if request.param == "result":
        return lambda handle: handle.result("10s")
    return lambda handle: in_a_loop(app, lambda: handle.aresult("10s"))


def claimed(store: Store) -> int:
    store.join("w.1", LEASE)
    return store.claim("w.1", LEASE, slots=500, limit=500).number


def is_awaited(client: Client, count: int = 1) -> Callable[[], bool]:
    return lambda: client.pubsub_numsub("jobd:{q}:awaited:a")[0][1] == count


END = dict[str, Callable[[Store, int], object]]
ENDS: END = {
    "value": lambda s, n: s.settle("w.1", LEASE, completed=[Completed(b"a", n, FIGURES, b"[1]")]),
    "null": lambda s, n: s.settle("w.1", LEASE, completed=[Completed(b"a", n, FIGURES, b"")]),
    "dead": lambda s, n: s.settle(
        "w.1", LEASE, endings=[Ending("dead", b"a", n, FIGURES, 0, "failed", {"error": "no"})]
    ),
    "cancelled": lambda s, n: s.settle(
        "w.1", LEASE, endings=[Ending("cancelled", b"a", n, FIGURES, 0, "cancelled")]
    ),
    "gone": lambda s, n: s.settle(
        "w.1", LEASE, completed=[Completed(b"a", n, FIGURES, b"[1]")], keep=0
    ),
}
SEEN = {"value": [1], "null": None, "dead": ("failed", "no"), "cancelled": "JobCancelled", "gone": "ResultGone"}  # fmt: skip


def what_came(wait: Wait, handle: JobHandle[Any]) -> Any:
    try:
        return wait(handle)
    except JobFailed as failed:
        return failed.cause, failed.error
    except (JobCancelled, ResultGone) as error:
        return type(error).__name__


@pytest.mark.parametrize("end", ENDS)
def test_an_end_that_was_there_is_given_at_once(q: Queue, wait: Wait, end: str) -> None:
    """Nobody is awaited, nothing is subscribed to."""
    handle = q.add("t", job_id="a")
    store = q._producer.store("q")
    ENDS[end](store, claimed(store))
    assert what_came(wait, handle) == SEEN[end]
    assert not q._producer.client.exists("jobd:{q}:awaited")


@pytest.mark.parametrize("end", ENDS)
def test_an_end_that_comes_is_told_and_not_asked_for(
    q: Queue, wait: Wait, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where nothing is kept of the job: then that is told at once."""
    monkeypatch.setattr(waiting, "RECHECK", 1000.0)
    handle = q.add("t", job_id="a")
    store = q._producer.store("q")
    number = claimed(store)
    client = q._producer.client

    def end_it() -> None:
        eventually(is_awaited(client))
        eventually(lambda: client.exists("jobd:{q}:awaited"))
        ENDS[end](store, number)

    ending = threading.Thread(target=end_it)
    ending.start()
    client.config_resetstat()
    assert what_came(wait, handle) == SEEN[end]
    ending.join(30)
    # A look when it comes, one when the subscription stands, one when it is told; and the settle.
    assert client.info("commandstats")["cmdstat_evalsha"]["calls"] <= 3 + 1


def test_nobody_waits_for_what_is_not_recorded(q: Queue, wait: Wait) -> None:
    """An id that was never added, or whose record is gone, has no end to wait for."""
    with pytest.raises(ResultGone, match="raise `retain`"):
        wait(q.job("nobody"))


def test_who_waits_while_the_store_is_lost_is_told_so(
    q: Queue, wait: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No notice comes of that: the next look finds it."""
    monkeypatch.setattr(waiting, "RECHECK", 0.05)
    handle = q.add("t", job_id="a")
    client = q._producer.client

    def lose() -> None:
        eventually(is_awaited(client))
        client.flushall()

    losing = threading.Thread(target=lose)
    losing.start()
    with pytest.raises(ResultGone):
        wait(handle)
    losing.join(30)


def test_who_waits_while_the_server_goes_away_is_told_so(tmp_path: Path) -> None:
    """Typed, and not at the end of the wait."""
    with running(next(iter(server_programs().values())), tmp_path) as url:
        app = Jobd(url, timeout=0.5)
        handle = app.queue("q").add("t", job_id="a")
        client = app.producer.client

        def stop() -> None:
            eventually(is_awaited(client, 1))
            with suppress(BrokerUnavailable), translated("the server"):
                client.shutdown(nosave=True)

        stopping = threading.Thread(target=stop)
        stopping.start()
        with pytest.raises(BrokerUnavailable):
            in_a_loop(app, lambda: handle.aresult("60s"))
        stopping.join(30)


def connections(client: Client) -> int:
    return len(client.client_list())


def test_a_hundred_waiters_share_two_connections(app: Jobd, q: Queue) -> None:
    """One for notices, one for looking; and after the last has gone there is nobody's."""
    added = [h.id for h in q.add_many([("t", {}, {"job_id": f"j{i}"}) for i in range(100)])]
    store = q._producer.store("q")
    number = claimed(store)
    client = app.producer.client
    before = connections(client)
    most = 0

    async def main() -> list[Any]:
        nonlocal most
        waits = [asyncio.create_task(q.job(i).aresult("30s")) for i in added]
        while client.zcard("jobd:{q}:awaited") < 100:
            most = max(most, connections(client))
            await asyncio.sleep(0)
        most = max(most, connections(client))
        done = [Completed(i.encode(), number, FIGURES, b"%d" % n) for n, i in enumerate(added)]
        store.settle("w.1", LEASE, completed=done, keep=1000)
        return await asyncio.gather(*waits)

    assert in_a_loop(app, main) == list(range(100))
    assert most <= before + 2
    eventually(lambda: connections(client) <= before)


def test_waiters_come_and_go(app: Jobd, q: Queue) -> None:
    """One that gives up takes nobody along; one that comes later is heard; a loop may end at once."""
    q.add_many([("t", {}, {"job_id": i}) for i in "abc"])
    store = q._producer.store("q")
    number = claimed(store)

    async def main() -> None:
        a, b = (asyncio.create_task(q.job(i).aresult("30s")) for i in "ab")
        await asyncio.to_thread(eventually, is_awaited(app.producer.client))
        a.cancel()
        with pytest.raises(ResultTimeout):
            await q.job("c").aresult("20ms")
        again = asyncio.create_task(q.job("a").aresult("30s"))
        done = [Completed(i, number, FIGURES, b"1") for i in (b"a", b"b")]
        await asyncio.to_thread(store.settle, "w.1", LEASE, completed=done, keep=9)
        assert (await again, await b, a.cancelled()) == (1, 1, True)

    in_a_loop(app, main)


def test_each_event_loop_has_its_own(app: Jobd, q: Queue) -> None:
    """Two threads, two loops, one application."""
    q.add_many([("t", {}, {"job_id": i}) for i in "ab"])
    store = q._producer.store("q")
    number = claimed(store)
    found: dict[str, Any] = {}

    def one(job_id: str) -> None:
        found[job_id] = in_a_loop(app, lambda: q.job(job_id).aresult("30s"))

    threads = [threading.Thread(target=one, args=(i,)) for i in "ab"]
    for thread in threads:
        thread.start()
    eventually(lambda: app.producer.client.zcard("jobd:{q}:awaited") == 2)
    done = [Completed(i, number, FIGURES, b'"%s"' % i) for i in (b"a", b"b")]
    store.settle("w.1", LEASE, completed=done, keep=9)
    for thread in threads:
        thread.join(30)
    assert found == {"a": "a", "b": "b"}


def test_a_handle_serves_an_event_loop(app: Jobd, q: Queue) -> None:
    """Every verb and every look, and none of them blocks it."""

    async def main() -> None:
        handle = await q.aadd("t", job_id="a")
        assert await handle.astate() == "waiting"
        assert await handle.areschedule("1h") == "delayed"
        assert await handle.arun_now() == "waiting"
        assert await handle.acancel() == "cancelled"
        assert await handle.aretry() == "retried"
        assert await handle.acancel(force=True) == "cancelled"
        info = await handle.ainfo()
        assert info is not None
        assert info.state == "cancelled"
        assert await handle.aprogress() is None
        assert await handle.adelete() == "deleted"

    in_a_loop(app, main)


@pytest.fixture
def results(app: Jobd, q: Queue, page: Page) -> Iterator[Queue]:
    """A worker with a task that gives results of any size."""

    @q.task(attempts=5)
    def gives(size: int) -> str | object:
        return "x" * size if size else object()

    with working(app, q, page):
        yield q


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (
            0,
            "result of task 'gives': Encoding objects of type object is unsupported; expected data",
        ),
        (131_071, "result of task 'gives': 131073 bytes as JSON; expected at most 131072; store"),
    ],
)
def test_what_cannot_be_given_back_is_dead_at_once(results: Queue, size: int, said: str) -> None:
    """With both sizes; it would not become smaller by running again."""
    handle = results.add("gives", {"size": size})
    with pytest.raises(JobFailed) as failed:
        handle.result("10s")
    assert failed.value.cause == "unencodable"
    assert said in str(failed.value.error)
    info = handle.info()
    assert info is not None
    assert info.failed == 0
    assert len(results.add("gives", {"size": 131_070}).result("10s")) == 131_070
