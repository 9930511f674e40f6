"""What an answer means: nothing was done, or nobody knows; never a bare error of Python's."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.garbled import NONSENSE, Garble, garbling
from support.inline import in_state, new_page, working
from support.sentinels import free_ports, plain_server, program
from support.servers import eventually

from jobd import BrokerUnavailable, Job, Jobd, Queue
from jobd.broker.bites import ADD_BITE
from jobd.broker.calls import Calls
from jobd.broker.commands import Command
from jobd.broker.connection import (
    Client,
    connect,
    connect_async,
    place_of,
    run,
    run_async,
    run_each,
    run_timed,
)
from jobd.broker.scripts import SCRIPTS
from jobd.broker.shapes import is_sound
from jobd.broker.store import Store, read_epoch
from jobd.core.errors import BrokerError

# What a server says that takes nothing just now: it has carried out nothing.
PASSING = {
    "BUSY": b"-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n",
    "LOADING": b"-LOADING Redis is loading the dataset in memory\r\n",
    "READONLY": b"-READONLY You can't write against a read only replica.\r\n",
    "MASTERDOWN": b"-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n",
    "NOREPLICAS": b"-NOREPLICAS Not enough good replicas to write.\r\n",
    "TRYAGAIN": b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
}


@pytest.fixture
def rule(tmp_path: Path, redis_url: str) -> Iterator[Garble]:
    with garbling(tmp_path, redis_url) as made:
        yield made


@pytest.fixture
def app(rule: Garble) -> Iterator[Jobd]:
    made = Jobd(rule.url)
    yield made
    made.producer.client.close()


def _add(queue: Queue, job: str) -> list[str]:
    return [queue.add("t", {}, job_id=job).outcome]


def _add_on_terms(queue: Queue, job: str) -> list[str]:
    return [queue.add("t", {}, job_id=job, unique={"key": job}).outcome]


def _add_many(queue: Queue, job: str) -> list[str]:
    return [each.outcome for each in queue.add_many([("t", {}, {"job_id": job})])]


def _aadd(queue: Queue, job: str) -> list[str]:
    async def add() -> list[str]:
        try:
            return [(await queue.aadd("t", {}, job_id=job)).outcome]
        finally:
            await queue._producer.async_client.aclose()

    return asyncio.run(add())


ADDING: dict[str, Callable[[Queue, str], list[str]]] = {
    "add": _add,
    "add on terms": _add_on_terms,
    "add_many": _add_many,
    "aadd": _aadd,
}


def _arm(rule: Garble, answer: bytes) -> None:
    """Garble the next add, whichever script it takes."""
    rule.disarm()
    for name in ("add", "add_once"):
        rule.arm(name, answer)


@pytest.mark.parametrize("way", ADDING)
@pytest.mark.parametrize("is_new", [True, False], ids=["new queues", "known queues"])
def test_an_add_whose_answer_is_garbled_has_an_unknown_outcome(
    app: Jobd, rule: Garble, way: str, is_new: bool
) -> None:
    """The job is in; the error says that it may be, and with which id to add it again."""
    for number, answer in enumerate(NONSENSE.values()):
        queue = app.queue(f"q{number}")
        if not is_new:
            queue.add("t", {})
        _arm(rule, answer)
        with pytest.raises(BrokerUnavailable) as unknown:
            ADDING[way](queue, "mine")
        rule.disarm()

        assert unknown.value.outcome_unknown
        assert unknown.value.job_ids == ("mine",)
        assert queue.job("mine").state() == "waiting"
        assert ADDING[way](queue, "mine") == ["duplicate"]


@pytest.mark.parametrize("word", PASSING)
def test_a_server_that_takes_nothing_just_now_is_unavailable_and_nothing_was_added(
    app: Jobd, rule: Garble, word: str
) -> None:
    """It passes by itself: the same type as for a server that is away, and the outcome is known."""
    for add in ADDING.values():
        _arm(rule, PASSING[word])
        with pytest.raises(BrokerUnavailable) as refused:
            add(app.queue("q"), "mine")

        assert not refused.value.outcome_unknown
        assert refused.value.job_ids == ("mine",)


def test_an_add_many_counts_what_was_answered_before_the_garbled_answer(
    app: Jobd, rule: Garble
) -> None:
    """Of the calls of one round trip; what comes after it may be in."""
    queue = app.queue("q")
    queue.add("t", {})
    jobs = [("t", {"n": n}, {"job_id": f"j{n}"}) for n in range(3 * ADD_BITE)]
    whole = b"*%d\r\n" % ADD_BITE + b"$5\r\nadded\r\n" * ADD_BITE
    short = b"*1\r\n$5\r\nadded\r\n"
    # One is of the wrong length, as where another's answer is in its place.
    rule.arm("add", whole, short)
    rule.arm("add_once", whole, short)
    with pytest.raises(BrokerUnavailable) as unknown:
        queue.add_many(jobs)
    rule.disarm()

    assert unknown.value.outcome_unknown
    assert unknown.value.added == ADD_BITE
    assert unknown.value.job_ids == tuple(f"j{n}" for n in range(ADD_BITE, len(jobs)))
    assert {each.outcome for each in queue.add_many(jobs)} == {"duplicate"}


ACTS: dict[str, Callable[[Queue], object]] = {
    "cancel": lambda q: q.job("a").cancel(),
    "retry": lambda q: q.job("a").retry(),
    "reschedule": lambda q: q.job("a").reschedule("5m"),
    "delete": lambda q: q._producer.store("q").delete(["a"]),
    "purge": lambda q: q._producer.store("q").purge("waiting", ["a"]),
    "pause": lambda q: q.pause(),
    "resume": lambda q: q.resume(),
    "await": lambda q: q.job("a").result(timeout=5),
    "schedule_put": lambda q: q.schedules.put("s", "t", every="1h"),
    "schedule_pause": lambda q: q.schedules.pause("s"),
    "schedule_remove": lambda q: q.schedules.remove("s"),
}


@pytest.mark.parametrize("act", ACTS)
def test_an_act_whose_answer_is_garbled_has_an_unknown_outcome(
    app: Jobd, rule: Garble, act: str
) -> None:
    """It may have been done; whoever asks again is answered soundly, over another connection."""
    queue = app.queue("q")
    queue.add("t", {}, job_id="a")
    for answer in NONSENSE.values():
        rule.arm(act, answer)
        with pytest.raises(BrokerUnavailable) as unknown:
            ACTS[act](queue)
        assert unknown.value.outcome_unknown
    assert rule.garbled[act] == len(NONSENSE)


def _many(client: Client, command: Command) -> object:
    return run_each(client, [command] * 2)


def _on_a_loop(client: Client, command: Command) -> object:
    async def ask() -> object:
        beside = connect_async(f"unix://{place_of(client)}")
        try:
            return await run_async(beside, command)
        finally:
            await beside.aclose()

    return asyncio.run(ask())


def _by_calls(client: Client, command: Command) -> object:
    return Calls(client).run(command)


@pytest.mark.parametrize("ask", [run, run_timed, _many, _on_a_loop, _by_calls])
def test_no_way_of_asking_takes_a_garbled_answer_for_one(
    rule: Garble, app: Jobd, ask: Callable[[Client, Command], object]
) -> None:
    """Nor is a connection used again that may hold another's answer."""
    client = app.producer.client
    command = app.producer.store("q").commands.promote(1)
    for answer in NONSENSE.values():
        before = client.client_id()
        rule.arm("promote", answer)
        with pytest.raises(BrokerUnavailable) as unknown:
            ask(client, command)
        assert unknown.value.outcome_unknown
        assert ask in (_on_a_loop, _by_calls) or client.client_id() != before


def test_a_refusal_that_is_known_stays_one_calls_own(client: Client) -> None:
    """A key of a wrong type says nothing of the server, nor of the other calls."""
    client.set("jobd:{q}:delayed", "text")
    bad, good = (Store(client, "jobd", queue).commands.promote(1) for queue in ("q", "r"))

    refused, done = run_each(client, [bad, good])

    assert isinstance(refused, BrokerError)
    assert not isinstance(refused, BrokerUnavailable)
    assert not refused.outcome_unknown
    assert done[0] == b"ok"


# What a worker asks for; each answer is lost to it when it is garbled.
ASKED = ("epoch", "join", "claim", "settle", "jot", "step", "reconcile")


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_a_worker_takes_a_garbled_answer_for_a_lost_one(
    app: Jobd, rule: Garble, tmp_path: Path, nonsense: str
) -> None:
    """Every job runs once and is settled once, whichever of its answers is garbled."""
    queue = app.queue("q")
    ran: list[int] = []

    @queue.task()
    def work(job: Job, n: int) -> None:
        job.log("said")
        ran.append(n)
        if n % 5 == 0:
            job.once("step", lambda: n)

    queue.add_many([("work", {"n": n}) for n in range(20)])
    for name in ASKED:
        rule.arm(name, NONSENSE[nonsense])
    with working(app, queue, new_page(tmp_path)) as worker:
        eventually(in_state(app, "completed", 20))
        eventually(lambda: not rule.is_armed)
    assert worker.error is None
    assert sorted(ran) == list(range(20))
    assert worker.said == ["broker.lost", "broker.back"] * (len(worker.said) // 2)
    tally = app.producer.client.hgetall("jobd:{q}:tally")
    assert sum(int(n) for name, n in tally.items() if name.startswith(b"completed")) == 20, tally


@pytest.mark.skipif(program() is None, reason="no server of the PATH here")
def test_a_server_busy_with_a_script_is_unavailable_and_nothing_was_added(tmp_path: Path) -> None:
    """Somebody's script runs for long: every other command is refused until it has ended."""
    with plain_server(tmp_path / "one", "--lua-time-limit", "1") as port:
        url = f"redis://127.0.0.1:{port}/0"
        queue = Jobd(url).queue("q")
        queue.add("t", {}, job_id="before")
        beside = connect(url, timeout=60)
        asking = threading.Thread(target=_run_for_ever, args=(beside,))
        asking.start()
        other = connect(url)
        try:
            eventually(lambda: _says_busy(other))
            for add in ADDING.values():
                with pytest.raises(BrokerUnavailable, match="busy") as refused:
                    add(queue, "mine")
                assert not refused.value.outcome_unknown
        finally:
            other.script_kill()
            asking.join()
        assert queue.job("mine").state() is None
        assert _add(queue, "mine") == ["enqueued"]
        for client in (beside, other, queue._producer.client):
            client.close()


def _run_for_ever(client: Client) -> None:
    with contextlib.suppress(Exception):
        client.eval("while true do end", 0)


def _says_busy(client: Client) -> bool:
    try:
        read_epoch(client, "other", "x")
    except BrokerError as error:
        return "busy" in str(error).lower()
    return False


@pytest.mark.skipif(program() is None, reason="no server of the PATH here")
def test_a_replica_without_its_primary_is_no_node_of_a_cluster(tmp_path: Path) -> None:
    """It says so in a word of which redis-py has made a kind of a cluster's."""
    [nobody] = free_ports(1)
    with plain_server(tmp_path / "one", "--replica-serve-stale-data", "no") as port:
        queue = Jobd(f"redis://127.0.0.1:{port}/0").queue("q")
        queue._producer.client.replicaof("127.0.0.1", str(nobody))
        for act in (
            lambda: _add(queue, "mine"),
            lambda: _aadd(queue, "mine"),
            lambda: _add_many(queue, "mine"),
            lambda: queue._producer.views().counts("q"),
            lambda: queue._producer.views().queues(),
            queue.pause,
        ):
            with pytest.raises(
                BrokerUnavailable, match="a replica that has lost its primary"
            ) as away:
                act()
            assert not away.value.outcome_unknown
        queue._producer.client.close()


def test_what_no_script_answers_is_sound_for_none() -> None:
    """Each one's header says what it does; a command that is no script's is believed."""
    for script in SCRIPTS.values():
        command = script.command(["k"] * len(script.keys), *["1"] * len(script.args))
        for nonsense in (None, 7, b"ok", "ok", True, {}):
            assert not is_sound(command, nonsense), script.name
    assert is_sound(["PING"], b"PONG")
