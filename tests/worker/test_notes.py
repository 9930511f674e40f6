"""What a running job says, and its steps: from the task to the record, by a worker on a real server."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from support.inline import working
from support.servers import eventually

from jobd import BrokerUnavailable, Job, Jobd, JobFailed, JobHandle, OptionError, Queue
from jobd.broker.claims import read_claim
from jobd.broker.commands import Claimed, Completed, Jot
from jobd.broker.new_job import NewJob
from jobd.broker.store import Store
from jobd.broker.views import JobInfo
from jobd.client.job import Job as Context
from jobd.seams.clock import utc, wall_ms
from jobd.seams.scoreboard_page import Page
from jobd.worker import flush
from jobd.worker.flush import Flusher
from jobd.worker.notes import MAX_BYTES, Notebook
from jobd.worker.take import take_all


@pytest.fixture
def q(app: Jobd) -> Queue:
    return app.queue("q", attempts=2, backoff=lambda failures: 0.001)


def info(handle: JobHandle[Any]) -> JobInfo:
    found = handle.info()
    assert found is not None
    return found


def texts(handle: JobHandle[Any]) -> list[str]:
    return [line.text for line in info(handle).logs]


def test_what_a_job_says_is_seen_while_it_runs(app: Jobd, q: Queue, page: Page) -> None:
    """A few times a second; and the last word is there when the job has ended."""
    go_on = threading.Event()

    @q.task()
    def work(job: Job) -> str:
        job.progress(0.25, "begun")
        job.log("one")
        job.log("two\nlines")
        assert go_on.wait(30)
        job.progress(1)
        job.log("three")
        return "done"

    with working(app, q, page):
        handle = work.enqueue()
        seen = eventually(handle.progress)
        assert (seen.fraction, seen.text) == (0.25, "begun")
        assert texts(handle) == ["one", "two\nlines"]
        now = info(handle).enqueued_at
        assert now is not None
        assert now <= seen.at <= now + 10_000
        go_on.set()
        assert handle.result("10s") == "done"
        assert texts(handle) == ["one", "two\nlines", "three"]
        last = handle.progress()
        assert last is not None
        assert (last.fraction, last.text, last.token) == (1.0, "", seen.token)


def test_what_is_said_while_words_are_on_their_way_follows_them(
    app: Jobd, q: Queue, page: Page
) -> None:
    """The next look finds it, though the book was not empty when it was said."""
    go_on = threading.Event()
    jobs: list[Job] = []

    @q.task()
    def work(job: Job) -> None:
        jobs.append(job)
        job.log("one")
        assert go_on.wait(30)

    with working(app, q, page) as running:
        calls = running.loop._flusher._calls
        real = calls.run

        def run(command: Any) -> Any:
            reply = real(command)
            if len(jobs) == 1:
                jobs.append(jobs[0])
                jobs[0].log("two")
            return reply

        calls.run = run  # type: ignore[method-assign]
        handle = work.enqueue()
        eventually(lambda: jobs)
        eventually(lambda: texts(handle) == ["one", "two"])
        go_on.set()
        handle.result("10s")


def test_a_short_jobs_words_travel_with_its_end(app: Jobd, q: Queue, page: Page) -> None:
    """One script call more in a round trip that was made anyway; no thread has anything to send."""
    sent: list[int] = []

    @q.task()
    def work(job: Job, said: bool) -> None:
        if said:
            job.log("one")
            job.progress(0.5)

    with working(app, q, page) as running:
        running.loop._flusher._send = lambda: sent.append(1)  # type: ignore[method-assign]
        work.enqueue(said=False).result("10s")
        handle = work.enqueue(said=True)
        handle.result("10s")
        assert texts(handle) == ["one"]
        assert not running.desk.notes._open


def test_a_job_that_says_nothing_has_no_thread(app: Jobd, q: Queue, page: Page) -> None:
    """Nor has its worker, until somebody speaks."""

    @q.task()
    def work(job: Job, said: bool) -> list[str]:
        if said:
            job.log("one")
        return [thread.name for thread in threading.enumerate()]

    with working(app, q, page):
        assert "jobd-notes" not in work.enqueue(said=False).result("10s")
        assert "jobd-notes" in work.enqueue(said=True).result("10s")
    assert "jobd-notes" not in [thread.name for thread in threading.enumerate()]


def test_words_go_before_the_end_on_a_server_that_knows_no_scripts(
    app: Jobd, q: Queue, page: Page
) -> None:
    """A script that is not known is sent again, after all that came with it: so all are, in time."""

    @q.task()
    def work(job: Job, said: str) -> None:
        if said:
            job.log(said)

    client = app.producer.client
    client.script_flush()
    with working(app, q, page):
        handles = []
        for said in ("first", "second", "third"):
            handles.append(work.enqueue(said=said))
            handles[-1].result("10s")
            client.script_flush()
            work.enqueue(said="").result("10s")  # now what settles is known again
        assert [texts(handle) for handle in handles] == [["first"], ["second"], ["third"]]


def test_any_thread_of_a_task_may_speak(app: Jobd, q: Queue, page: Page) -> None:
    """No line is lost and none stands twice, however many are on their way."""

    @q.task()
    def work(job: Job) -> None:
        def talk(name: str) -> None:
            for i in range(200):
                job.log(f"{name}{i}")
                job.progress(i / 200)

        threads = [threading.Thread(target=talk, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    with working(app, q, page):
        handle = work.enqueue()
        handle.result("10s")
    said = texts(handle)
    assert len(said) == 800
    for name in "abcd":
        assert [line for line in said if line[0] == name] == [f"{name}{i}" for i in range(200)]


def test_words_are_looked_at_after_the_ends_they_belong_to(app: Jobd, q: Queue, page: Page) -> None:
    """A run beside the settling thread may speak and end between two of its steps."""

    @q.task()
    def work() -> None: ...

    client, store = app.producer.client, app.producer.store("q")
    with working(app, q, page) as running:
        work.enqueue().result("10s")  # the worker has looked at what it holds
        with client.pipeline() as pipe:
            pipe.execute_command(*store.commands.add([NewJob("b", "t", b"{}")], fresh=False))
            pipe.execute_command(*store.commands.claim("w.1", 30_000, slots=1))
            [job] = read_claim(pipe.execute()[1]).jobs
        notes, real = running.desk.notes, running.desk.notes.spell
        injected: list[int] = []

        def spell(of: Any = None) -> list[list[Jot]]:
            found = real(of)
            if not injected:
                injected.append(1)
                notes.pad(job).log("late")
                running.desk.done.append(Completed(job.id, job.claim, "t|0|0|0", b""))
            return found

        notes.spell = spell  # type: ignore[method-assign]
        work.enqueue().result("10s")
        work.enqueue().result("10s")
        eventually(lambda: q.job("b").state() == "completed")
    assert texts(q.job("b")) == ["late"]


def settle_all(store: Store, book: Notebook, ended: deque[Completed], count: int) -> None:
    """Settle what ends until so much has, as the worker's talk does it."""
    while count:
        done = take_all(ended)
        for jots in book.spell():
            book.heard(jots, [b"ok", *store.jot("w.1", jots)])
        if done:
            assert store.settle("w.1", 30_000, completed=done, keep=1000) == []
            count -= len(done)


def test_no_word_is_lost_between_many_runs_and_their_settles(app: Jobd) -> None:
    """Eight threads run jobs, one settles what ended, one sends words before that."""
    store = app.producer.store("q")
    store.add([NewJob(f"j{i}", "t", b"{}") for i in range(200)])
    store.join("w.1", 30_000)
    line = deque(store.claim("w.1", 30_000, slots=200).jobs)
    assert len(line) == 200
    book = Notebook(wall_ms)
    flusher = Flusher(book, client=app.producer.client, commands=store.commands, incarnation="w.1")
    ended: deque[Completed] = deque()

    def run_jobs() -> None:
        while True:
            try:
                job = line.popleft()
            except IndexError:
                return
            pad = book.pad(job)
            for i in range(20):
                pad.log(f"{i}")
                pad.progress(i / 19, "")
            ended.append(Completed(job.id, job.claim, "t|0|0|0", b""))

    threads = [threading.Thread(target=run_jobs) for _ in range(8)]
    for thread in threads:
        thread.start()
    settle_all(store, book, ended, 200)
    for thread in threads:
        thread.join()
    flusher.stop()
    assert not book.holds_some
    for i in range(200):
        info = app.producer.views().info("q", f"j{i}")
        assert info is not None
        assert [line.text for line in info.logs] == [f"{n}" for n in range(20)]
        assert info.progress is not None
        assert info.progress.fraction == 1.0


def test_a_flood_is_bounded_where_it_is_made(app: Jobd, q: Queue, page: Page) -> None:
    """Neither the worker nor Redis holds more than a thousand lines; what went is counted."""

    @q.task()
    def work(job: Job) -> int:
        for i in range(5000):
            job.log(f"line {i}")
        return max(len(pad._lines) for pad in [job.notes])  # type: ignore[attr-defined]

    with working(app, q, page):
        handle = work.enqueue()
        assert handle.result("10s") <= 1000
    found = info(handle)
    assert [line.text for line in found.logs] == [f"line {i}" for i in range(4000, 5000)]
    assert found.logs_dropped == 4000


@pytest.mark.parametrize(("said_before", "of_a_call"), [(0, 64), (MAX_BYTES, 3)])
def test_a_call_counts_the_logs_it_writes_anew(said_before: int, of_a_call: int) -> None:
    """A line more is little; the 64 KiB that it is added to are not."""
    book, more = Notebook(wall_ms), {b"~log": b""} if said_before else {}
    jobs = [Claimed(b"j%d" % i, b"t", b"{}", 1, more, 7) for i in range(64)]
    for job in jobs:
        book.pad(job).log("a line")
    calls = book.spell()

    assert max(map(len, calls)) == of_a_call
    assert [jot.id for jots in calls for jot in jots] == [job.id for job in jobs]
    assert [[jot.id for jot in jots] for jots in book.spell([(b"j3", 7), (b"j4", 6)])] == [[b"j3"]]


def test_each_attempt_goes_on_in_the_same_log(app: Jobd, q: Queue, page: Page) -> None:
    """What failed attempts said is there, told apart by their tokens, as in the history."""

    @q.task()
    def work(job: Job) -> None:
        job.log(f"attempt {job.attempt}")
        if job.attempt == 1:
            raise ValueError

    with working(app, q, page):
        handle = work.enqueue()
        handle.result("10s")
    assert texts(handle) == ["attempt 1", "attempt 2"]
    first, second = (line.token for line in info(handle).logs)
    assert (first, first < second) == (info(handle).history[0]["token"], True)


def test_words_outlive_a_link_that_breaks(q: Queue, page: Page, app: Jobd) -> None:
    """They stay with the worker until Redis has them, and stand there once."""
    heard, go_on = threading.Event(), threading.Event()

    @q.task()
    def work(job: Job) -> None:
        for i in range(20):
            job.log(f"{i}")
            if i == 10:
                heard.set()
                assert go_on.wait(30)

    with working(app, q, page) as running:
        handle = work.enqueue()
        assert heard.wait(30)
        for _ in range(3):
            app.producer.client.client_kill_filter(_type="normal", skipme=True)
        go_on.set()
        handle.result("20s")
        assert texts(handle) == [f"{i}" for i in range(20)]
        assert not running.error


@pytest.mark.parametrize(
    "fraction", [-0.1, 1.01, float("nan"), float("inf"), True, "0.5", None, 1j], ids=str
)
def test_progress_is_a_fraction(app: Jobd, q: Queue, page: Page, fraction: Any) -> None:
    """Refused where it is said."""

    @q.task(attempts=1)
    def work(job: Job) -> None:
        job.progress(fraction)

    with working(app, q, page), pytest.raises(JobFailed, match="number from 0 to 1"):
        work.enqueue().result("10s")


def test_what_is_said_is_bounded_and_writable(app: Jobd, q: Queue, page: Page) -> None:
    """Whatever a text holds."""

    @q.task()
    def work(job: Job) -> None:
        job.log("x" * 5000)
        job.log("no file b\udcff.txt")
        job.log(ValueError("an object"))
        job.progress(0.5, "y" * 3000)

    with working(app, q, page):
        handle = work.enqueue()
        handle.result("10s")
    long, odd, thing = texts(handle)
    assert long == "x" * 2000 + "... (3000 characters more)"
    assert (odd, thing) == ("no file b\\udcff.txt", "an object")
    progress = info(handle).progress
    assert progress is not None
    assert len(progress.text) < 2100


def taken_away(app: Jobd, name: str = "w.1") -> None:
    """Let another find this worker's lease closed, and its jobs back in line."""
    app.producer.store("q").release(name)


def test_a_run_that_lost_its_job_is_told_by_its_next_step(q: Queue, page: Page, app: Jobd) -> None:
    """It changes nothing: neither its words nor its steps reach the record of what is another's."""
    begun, go_on = threading.Event(), threading.Event()
    raised: list[BaseException] = []

    @q.task()
    def work(job: Job) -> None:
        begun.set()
        assert go_on.wait(30)
        job.log("late")
        try:
            job.once("charge", lambda: "paid")
        except BaseException as error:
            raised.append(error)
            raise

    with working(app, q, page) as running:
        handle = work.enqueue()
        assert begun.wait(30)
        taken_away(app)
        before = app.producer.client.hgetall(f"jobd:{{q}}:job:{handle.id}")
        go_on.set()
        eventually(lambda: running.error)
    assert type(raised[0]).__name__ == "StaleRun"
    assert "job.failed" not in running.said
    assert "it succeeded, and that was not recorded" in str(raised[0])
    assert app.producer.client.hgetall(f"jobd:{{q}}:job:{handle.id}") == before


# --- steps ---

Work = Callable[[Context], Any]


@pytest.fixture
def run(app: Jobd, q: Queue, page: Page) -> Callable[[Work], JobHandle[Any]]:
    """Give a task's body to a worker; give the handle of its job, which has ended."""

    def carry_out(body: Work) -> JobHandle[Any]:
        @q.task(attempts=3)
        def work(job: Job) -> Any:
            return body(job)

        with working(app, q, page):
            handle = work.enqueue()
            eventually(lambda: handle.state() in ("completed", "dead"))
        return handle

    return carry_out


def test_a_step_that_succeeded_is_not_done_again(run: Any) -> None:
    """Later attempts get its value; what failed is done again. It is plain JSON from the first time."""
    calls: list[str] = []
    values: list[Any] = []

    def charge(order: int, *, currency: str) -> Any:
        calls.append("charge")
        return {"order": order, "currency": currency, "pair": (1, 2)}

    def fails_once() -> None:
        calls.append("mail")
        if calls.count("mail") == 1:
            raise ConnectionError

    def body(job: Context) -> None:
        values.append(job.once("charge", charge, 7, currency="EUR"))
        values.append(job.once("charge", charge, 7, currency="EUR"))
        job.once("mail", fails_once)

    handle = run(body)
    assert calls == ["charge", "mail", "mail"]
    assert values == [{"order": 7, "currency": "EUR", "pair": [1, 2]}] * 4
    assert info(handle).steps == {"charge": values[0], "mail": None}


def test_steps_stay_with_a_job_that_died_and_is_retried(app: Jobd, q: Queue, page: Page) -> None:
    """An operator's retry gives new attempts, not new effects."""
    calls: list[int] = []

    def charge() -> str:
        calls.append(1)
        return "receipt"

    @q.task(attempts=1)
    def work(job: Job) -> str:
        value = job.once("charge", charge)
        if not q.job("go").state():
            raise ConnectionError
        return value

    with working(app, q, page):
        handle = work.enqueue()
        with pytest.raises(JobFailed):
            handle.result("10s")
        q.add("none", delay="1h", job_id="go")
        assert handle.retry() == "retried"
        assert handle.result("10s") == "receipt"
    assert calls == [1]


@pytest.mark.parametrize(
    "value", [object(), "x" * 200_000, float("nan")], ids=["odd", "long", "nan"]
)
def test_a_step_whose_value_cannot_be_kept_is_not_done_again_either(run: Any, value: Any) -> None:
    """The effect is worth more than what it gave: each attempt says so, and none repeats it."""
    calls: list[int] = []

    def body(job: Context) -> None:
        job.once("charge", lambda: calls.append(1) or value)

    found = info(run(body))
    assert (calls, found.cause, found.failed) == ([1], "failed", 3)
    errors = {run["error"].partition(": ")[0] for run in found.history}
    assert errors == {"ValueNotKept"}
    assert (
        "it succeeded and does not run again, but its value is not kept"
        in found.history[2]["error"]
    )


def test_threads_take_turns_at_a_step(run: Any) -> None:
    """One does it, the others get what it gave; and a step within itself is refused."""
    calls: list[int] = []
    values: list[Any] = []

    def slow() -> int:
        calls.append(1)
        eventually(lambda: len(others) == 4)
        return 7

    others: list[threading.Thread] = []

    def body(job: Context) -> None:
        def one() -> None:
            values.append(job.once("slow", slow))

        for _ in range(4):
            others.append(threading.Thread(target=one))
            others[-1].start()
        for thread in others:
            thread.join()
        with pytest.raises(OptionError, match="taken within itself"):
            job.once("outer", lambda: job.once("outer", slow))

    assert info(run(body)).error is None
    assert (calls, values) == ([1], [7] * 4)


def test_steps_on_an_event_loop(run: Any) -> None:
    """Async functions and plain ones; many at once take turns; the blocking call is refused."""
    calls: list[str] = []

    async def charge(order: int) -> dict[str, int]:
        calls.append("charge")
        await asyncio.sleep(0)
        return {"order": order}

    def mail() -> str:
        calls.append("mail")
        return "sent"

    async def main(job: Context) -> Any:
        with pytest.raises(RuntimeError, match=r"await job.aonce"):
            job.once("charge", mail)
        charged = await asyncio.gather(*(job.aonce("charge", charge, 7) for _ in range(5)))
        gone = asyncio.create_task(job.aonce("mail", mail))
        waits = asyncio.create_task(job.aonce("mail", mail))
        await asyncio.sleep(0)
        waits.cancel()
        return [charged, await gone, await job.aonce("mail", mail)]

    def body(job: Context) -> Any:
        with pytest.raises(OptionError, match=r"await job\.aonce"):
            job.once("charge", charge, 7)
        return asyncio.run(main(job))

    handle = run(body)
    assert info(handle).result == [[{"order": 7}] * 5, "sent", "sent"]
    assert calls == ["charge", "mail"]


def test_a_step_that_cannot_be_recorded_says_so(
    q: Queue, page: Page, app: Jobd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Typed: what happened, and that it may happen again."""
    monkeypatch.setattr(flush, "PATIENCE", 0.0)
    raised: list[BrokerUnavailable] = []
    client = app.producer.client

    def effect() -> str:
        client.client_pause(600, all=True)
        return "paid"

    @q.task()
    def work(job: Job) -> None:
        try:
            job.once("charge", effect)
        except BrokerUnavailable as error:
            raised.append(error)

    with working(app, q, page) as running:
        running.loop._flusher._calls._client.connection_pool.connection_kwargs["socket_timeout"] = (
            0.1
        )
        handle = work.enqueue()
        eventually(lambda: raised)
        assert raised[0].outcome_unknown
        assert raised[0].job_id == handle.id
        assert "it succeeded and may not be recorded, so a later run may do it again" in str(
            raised[0]
        )


def test_a_step_is_recorded_when_the_answer_was_lost(q: Queue, page: Page, app: Jobd) -> None:
    """A worker asks again: what it finds is what it sent."""
    kills: list[int] = []

    @q.task()
    def work(job: Job) -> str:
        record = running.loop._flusher._calls
        real = record.run

        def broken(command: Any) -> Any:
            answer = real(command)
            if not kills:
                kills.append(1)
                raise BrokerUnavailable("lost", outcome_unknown=True)
            return answer

        record.run = broken  # type: ignore[method-assign]
        return job.once("charge", lambda: "paid")

    with working(app, q, page) as running:
        assert work.enqueue().result("10s") == "paid"
    assert kills


def test_a_context_that_a_test_has_made_works_alone() -> None:
    """Nobody hears it; its steps are remembered for as long as it lives."""
    job = Job("a", "q", "t", 1, 1, 1, utc(), None)
    job.log("x")
    job.progress(0.5)
    calls: list[int] = []
    assert [job.once("s", lambda: calls.append(1) or 7) for _ in range(2)] == [7, 7]
    assert calls == [1]
