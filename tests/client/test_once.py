"""Adding a job once: locks, truthful outcomes, what is refused, and a crowd at the same door."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from support.inline import new_page, working
from support.servers import eventually

from jobd import BrokerUnavailable, Job, Jobd, JobHandle, OptionError, Unique
from jobd.core.unique import spell_lock


@pytest.fixture
def app(redis_url: str) -> Jobd:
    return Jobd(redis_url)


def outcome(handle: JobHandle[Any]) -> tuple[str, str]:
    return handle.outcome, handle.id


def test_the_same_task_with_the_same_arguments_is_added_once(app: Jobd) -> None:
    """However the arguments are written; other ones are another job."""
    queue = app.queue("q")

    @queue.task(unique=True)
    def sync(user_id: int, deep: dict[str, int]) -> None: ...

    first = sync.enqueue(7, deep={"a": 1, "b": 2})
    again = sync.enqueue(deep={"b": 2, "a": 1}, user_id=7)

    assert (first.outcome, outcome(again)) == ("enqueued", ("duplicate", first.id))
    assert sync.enqueue(8, {}).outcome == "enqueued"
    assert queue.add("sync", {"user_id": 7, "deep": {"b": 2, "a": 1}}).outcome == "duplicate"
    assert sync.using(unique=False).enqueue(7, {"a": 1, "b": 2}).outcome == "enqueued"


def test_a_lock_is_named_after_some_arguments_or_after_a_key(app: Jobd) -> None:
    """`by` names what counts, `key` says it; each task has names of its own."""
    queue = app.queue("q")

    @queue.task(unique=Unique(by="user_id"))
    def sync(user_id: int, why: str = "") -> None: ...

    first = sync.enqueue(7, "new")
    assert outcome(sync.enqueue(7, "old")) == ("duplicate", first.id)
    keyed = sync.using(unique={"key": "7"})
    assert [keyed.enqueue(n).outcome for n in (1, 2)] == ["enqueued", "duplicate"]
    assert queue.add("other", {}, unique={"key": "7"}).outcome == "enqueued"
    assert app.queue("elsewhere").add("sync", {}, unique={"key": "7"}).outcome == "enqueued"


def test_every_way_to_add_knows_locks(app: Jobd) -> None:
    """One by one, many at once, from an event loop; in a batch plain jobs keep their places."""
    queue = app.queue("q")
    once = {"unique": {"key": "k"}}
    many = queue.add_many(
        [("t", {"n": 0}), ("t", {"n": 1}, once), ("t", {"n": 2}), ("t", {}, once)]
    )
    assert [h.outcome for h in many] == ["enqueued", "enqueued", "enqueued", "duplicate"]
    assert many[3].id == many[1].id
    assert [h.id for h in many[:3]] == app.producer.views().jobs("q", "waiting")

    @queue.task("t")
    def t(n: int = 0) -> None: ...

    async def main() -> list[tuple[str, str]]:
        handles = [await queue.aadd("t", {}, **once), await t.using(**once).aenqueue(5)]
        await app.producer.async_client.aclose()
        return [outcome(handle) for handle in handles]

    assert asyncio.run(main()) == [("duplicate", many[1].id)] * 2
    assert outcome(queue.add("t", {}, **once)) == ("duplicate", many[1].id)


def test_a_repeat_after_an_unknown_outcome_is_safe(app: Jobd) -> None:
    """An id that is in is answered with itself; one that lost to a holder is told of it."""
    queue = app.queue("q")
    once = {"unique": {"key": "k"}}
    assert queue.add("t", {}, job_id="a", **once).outcome == "enqueued"
    assert outcome(queue.add("t", {}, job_id="a", **once)) == ("duplicate", "a")
    for _ in range(2):
        assert outcome(queue.add("t", {}, job_id="b", **once)) == ("duplicate", "a")
    assert queue.job("b").state() is None


def test_a_holder_that_waits_makes_way(app: Jobd) -> None:
    """It ends as cancelled, says for whom, and leaves its place in line."""
    queue = app.queue("q")
    latest = {"unique": Unique(key="k", replace=True)}
    first = queue.add("t", {"text": "a"}, **latest)
    queue.add("t", {})
    second = queue.add("t", {"text": "b"}, **latest)

    assert (second.outcome, first.state(), second.state()) == ("replaced", "cancelled", "waiting")
    info = first.info()
    assert info is not None
    assert [(line["kind"], line["by"]) for line in info.history] == [("replaced", second.id)]
    assert app.producer.views().jobs("q", "waiting")[0] == second.id
    later = queue.add("t", {"text": "c"}, delay="5m", **latest)
    assert (later.outcome, second.state(), later.state()) == ("replaced", "cancelled", "delayed")
    assert first.retry() == "duplicate"
    assert later.cancel() == "cancelled"
    assert [handle.retry() for handle in (first, second)] == ["retried", "duplicate"]


@pytest.mark.parametrize("until", ["finished", "started"])
def test_what_runs_holds_its_lock_until_it_has_said(app: Jobd, tmp_path: Any, until: str) -> None:
    """By a worker: through the run, a retry, and the end."""
    queue = app.queue("q")
    begun, go_on = threading.Event(), threading.Event()

    @queue.task(unique=Unique(until=until, replace=True), attempts=2, backoff=lambda _: 0)
    def work() -> None:
        begun.set()
        assert go_on.wait(60)

    with working(app, queue, new_page(tmp_path)):
        first = work.enqueue()
        assert begun.wait(60)
        second = work.enqueue()
        if until == "finished":
            assert outcome(second) == ("duplicate", first.id)
        else:
            assert (second.outcome, work.enqueue().outcome) == ("enqueued", "replaced")
        go_on.set()
        first.result()
        eventually(lambda: queue_is_done(app))
    assert app.producer.client.keys("jobd:{q}:unique:*") == []
    assert work.enqueue().outcome == "enqueued"


def queue_is_done(app: Jobd) -> bool:
    counts = app.producer.views().counts("q")
    return not (counts["waiting"] or counts["delayed"] or counts["active"])


@pytest.mark.parametrize("end", ["fails", "is cancelled", "is deleted"])
def test_a_lock_for_a_time_is_let_go_when_the_work_was_not_done(
    app: Jobd, tmp_path: Any, end: str
) -> None:
    """While it was, or may be, the lock stands for its time, also when the job has long completed."""
    queue = app.queue("q")

    @queue.task(unique=Unique(until="ttl", ttl="10m"))
    def work(well: bool) -> None:
        assert well

    with working(app, queue, new_page(tmp_path)):
        done = work.enqueue(True)
        done.result()
        assert outcome(work.enqueue(True)) == ("duplicate", done.id)
        if end == "is cancelled":
            other = work.using(delay="1h").enqueue(False)
            other.cancel()
        elif end == "is deleted":
            other = done
            other.delete()
        else:
            other = work.enqueue(False)
            eventually(lambda: other.state() == "dead")
    assert work.enqueue(other is done).outcome == "enqueued"


BAD: list[tuple[Callable[[], Any], str]] = [
    (lambda: Unique(until="startd"), "did you mean 'started'"),
    (lambda: Unique(ttl="10m"), "expected until='ttl'"),
    (lambda: Unique(until="ttl"), "as in ttl='10m'"),
    (lambda: Unique(until="ttl", ttl=0), "as in ttl='10m'"),
    (lambda: Unique(until="ttl", ttl="1m", replace=True), "use a delay and until 'started'"),
    (lambda: Unique(key=""), "expected some text"),
    (lambda: Unique(key=7), "expected some text"),  # type: ignore[arg-type]
    (lambda: Unique(by=()), "expected names of arguments"),
    (lambda: Unique(key="k", by="x"), "drop either"),
    (lambda: Unique(replace=1), "expected True or False"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("make", "said"), BAD)
def test_a_lock_that_makes_no_sense_is_refused(make: Callable[[], Any], said: str) -> None:
    """Where it is written."""
    with pytest.raises(OptionError, match=said):
        make()


@pytest.mark.parametrize(
    ("unique", "said"),
    [
        ("started", "expected True, False, Unique"),
        (7, "expected True, False, Unique"),
        ({"untill": "started"}, "did you mean 'until'"),
        ({"until": "strted"}, "task 't': unique: until .* did you mean 'started'"),
        ({"by": "usr_id"}, "did you mean 'user_id'"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_everywhere(
    app: Jobd, unique: object, said: str
) -> None:
    """When the task is declared, in a call, by name."""
    queue = app.queue("q")

    @queue.task("t")
    def t(user_id: int) -> None: ...

    for add in (
        lambda: queue.task("u", unique=unique)(t.function),
        lambda: t.using(unique=unique),
        lambda: queue.add("t", {"user_id": 1}, unique=unique),
        lambda: app.queue("x").add("t", {"user_id": 1}, unique=unique),
    ):
        with pytest.raises(OptionError, match=said.replace("'t'", "'[tu]'")):
            add()
    with pytest.raises(OptionError, match="unknown option 'unique'"):
        app.queue("y", unique=True)


def test_a_locks_name_is_short_and_tells_numbers_apart() -> None:
    """Also those that a float cannot hold."""
    args = [
        b'{"n":1180591620717411303424}',
        b'{"n":1180591620717411303425}',
        b'{"n":"1"}',
        b'{"n":1}',
    ]
    names = {spell_lock(Unique(), "t", each) for each in args}

    assert len(names) == len(args)
    assert all(len(name) == len("finished ") + 32 for name in names)


def test_of_a_thousand_at_once_one_is_added(app: Jobd) -> None:
    """Twenty threads of fifty adds each; all but one are told by whom."""
    queue = app.queue("q")
    start = threading.Barrier(20)
    found: list[tuple[str, str]] = []

    def crowd() -> None:
        start.wait()
        found.extend(outcome(queue.add("t", {}, unique={"key": "k"})) for _ in range(50))

    threads = [threading.Thread(target=crowd) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    told = Counter(found)
    [(_, winner)] = [each for each in told if each[0] == "enqueued"]
    assert told == {("enqueued", winner): 1, ("duplicate", winner): 999}
    assert app.producer.views().jobs("q", "waiting") == [winner]


def test_of_four_programs_one_adds(app: Jobd) -> None:
    """Processes of their own, each with its own connections."""
    queue = app.queue("q")
    go_read, go_write = os.pipe()
    told_read, told_write = os.pipe()
    children = []
    for _ in range(4):
        if (child := os.fork()) == 0:
            try:
                os.close(go_write)
                os.read(go_read, 1)
                for _ in range(50):
                    handle = queue.add("t", {}, unique={"key": "k"})
                    os.write(told_write, f"{handle.outcome} {handle.id}\n".encode())
            finally:
                os._exit(0)
        children.append(child)
    os.close(go_write)
    os.close(told_write)
    os.close(go_read)
    with os.fdopen(told_read) as lines:
        told = Counter(line.split()[0] for line in lines)
    for child in children:
        os.waitpid(child, 0)

    assert told == {"enqueued": 1, "duplicate": 199}
    assert app.producer.views().counts("q")["waiting"] == 1


def test_an_ended_job_of_the_same_id_begins_anew_when_asked(app: Jobd, tmp_path: Any) -> None:
    """With the new arguments, as another record; what is live is a duplicate."""
    queue = app.queue("q")

    @queue.task()
    def work(n: int) -> int:
        assert n
        return n

    nightly = work.using(job_id="nightly", on_duplicate="rerun_finished")
    assert nightly.enqueue(1).outcome == "enqueued"
    assert outcome(nightly.enqueue(2)) == ("duplicate", "nightly")
    for state, n in (("completed", 0), ("dead", 3)):
        (tmp_path / state).mkdir()
        with working(app, queue, new_page(tmp_path / state), incarnation=f"w.{n}"):
            eventually(lambda state=state: queue.job("nightly").state() == state)
        assert work.using(job_id="nightly").enqueue(n).outcome == "duplicate"
        assert nightly.enqueue(n).outcome == "replaced"
        info = queue.job("nightly").info()
        assert info is not None
        assert (info.state, info.args, info.cause, info.history) == ("waiting", {"n": n}, None, [])
    queue.job("nightly").cancel()
    assert nightly.enqueue(4).outcome == "replaced"
    queue.job("nightly").cancel()
    queue.job("nightly").delete()
    assert nightly.enqueue(5).outcome == "enqueued"


def test_a_call_that_begins_a_job_anew_does_so_once(app: Jobd) -> None:
    """Its nonce says that it is the same call: also when the job has ended, and is gone, meanwhile."""
    queue = app.queue("q")
    again = {"job_id": "a", "on_duplicate": "rerun_finished"}
    queue.add("t", {}, job_id="a")
    queue.job("a").cancel()
    assert queue.add("t", {}, nonce="first", **again).outcome == "replaced"
    queue.job("a").cancel()
    assert queue.add("t", {}, nonce="first", **again).outcome == "duplicate"
    queue.job("a").delete()
    assert queue.add("t", {}, nonce="first", **again).outcome == "duplicate"
    assert queue.add("t", {}, nonce="second", **again).outcome == "enqueued"


def test_an_unanswered_call_says_its_nonce() -> None:
    """With which its repeat is safe."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        queue = Jobd(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", timeout=0.1).queue("q")
        with pytest.raises(BrokerUnavailable, match="and nonce=") as unknown:
            queue.add("t", {}, job_id="a", on_duplicate="rerun_finished")
        options = {"job_id": "a", "on_duplicate": "rerun_finished", "nonce": "n"}
        with pytest.raises(BrokerUnavailable, match="and `nonces`") as many:
            queue.add_many([("t", {}), ("t", {}, options)])

    assert unknown.value.outcome_unknown
    assert unknown.value.nonce
    assert many.value.nonces == ("", "n")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"on_duplicate": "rerun_finished"}, "without job_id"),
        ({"on_duplicate": "rerun_finish", "job_id": "a"}, "did you mean 'rerun_finished'"),
        ({"on_duplicate": True, "job_id": "a"}, "expected rerun_finished, skip"),
        ({"nonce": "n", "job_id": "a"}, "drop nonce"),
        ({"nonce": "n n", "job_id": "a", "on_duplicate": "rerun_finished"}, "1 to 128 characters"),
        ({"group": "two words"}, "1 to 128 characters"),
        ({"meta": "text"}, "expected a small dict"),
        ({"meta": {1: 2}}, "expected a small dict"),
        ({"meta": {"x": "y" * 5000}}, "expected at most 4096"),
        ({"meta": {"x": object()}}, "what JSON can hold"),
    ],
)
def test_other_options_that_make_no_sense_are_refused(
    app: Jobd, options: dict[str, Any], said: str
) -> None:
    """Where they are written."""
    with pytest.raises(OptionError, match=said):
        app.queue("q").add("t", {}, **options)


def test_a_group_and_a_meta_go_along(app: Jobd, tmp_path: Any) -> None:
    """To the task, to whoever looks, and to filters; without them nothing travels."""
    queue = app.queue("q")
    seen: list[tuple[str | None, dict[str, Any]]] = []

    @queue.task()
    def work(job: Job) -> None:
        seen.append((job.group, job.meta))

    trace = {"traceparent": "00-1", "tags": ["a"]}
    labelled = work.using(group="eu", meta=trace, attempts=2).enqueue()
    plain = work.enqueue()
    info = labelled.info()
    assert info is not None
    assert (info.group, info.meta, info.options) == ("eu", trace, {"attempts": 2})
    assert [h.id for h in queue.find("waiting", group="eu")] == [labelled.id]
    assert list(queue.find("waiting", group="us")) == []
    assert app.producer.client.hkeys(f"jobd:{{q}}:job:{plain.id}") == [
        b"task",
        b"args",
        b"at",
        b"seq",
    ]
    with working(app, queue, new_page(tmp_path)):
        eventually(lambda: len(seen) == 2)
    assert seen == [("eu", trace), (None, {})]
