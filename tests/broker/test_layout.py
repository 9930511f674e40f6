"""A store whose format is not ours: it is said by name, and nothing is begun there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.inline import in_state, new_page, working
from support.servers import eventually

from jobd import Jobd, Queue
from jobd.broker import layout
from jobd.broker.connection import Client, connect
from jobd.broker.store import Store, read_epoch
from jobd.cli.main import main
from jobd.core.errors import OtherFormat
from jobd.core.store_events import BrokerLost
from jobd.keeper.fleet import Alive
from jobd.keeper.renew import Renewer
from jobd.seams.scoreboard import Scoreboard
from jobd.seams.scoreboard_views import Phase

KEY = "jobd:format"
# How the key may stand, and what is said of it.
STRANGE: dict[str, tuple[Callable[[Client], object], str]] = {
    "newer": (lambda c: c.set(KEY, "999"), "999, says jobd:format; expected at most 1; upgrade"),
    "long": (lambda c: c.set(KEY, "9" * 5000), "says jobd:format; expected at most 1; upgrade"),
    "a word": (lambda c: c.set(KEY, "abc"), "'abc', says jobd:format; expected a number up to 1"),
    "nothing": (lambda c: c.set(KEY, ""), "'', says jobd:format; expected a number up to 1"),
    "older than all": (lambda c: c.set(KEY, "0"), "'0', says jobd:format; expected a number"),
    "no utf-8": (lambda c: c.set(KEY, b"\xff1"), "says jobd:format; expected a number up to 1"),
    "a list": (lambda c: c.rpush(KEY, "1"), "jobd:format"),
    "a list for the epoch": (lambda c: (c.delete("jobd:epoch"), c.rpush("jobd:epoch", "1")), "jobd:epoch"),
}  # fmt: skip


@pytest.fixture(params=STRANGE)
def strange(request: pytest.FixtureRequest, client: Client) -> str:
    """Make the store so, after it was ours; give what is said of it."""
    read_epoch(client, "jobd", "one")
    make, words = STRANGE[request.param]
    client.delete(KEY)
    make(client)
    return words


def test_whoever_acts_on_a_store_of_another_format_is_refused_by_its_name(
    client: Client, strange: str
) -> None:
    """The producer in all its ways, and who asks for the store's life; nothing is written."""
    queue = _queue(client)
    before = sorted(client.scan_iter())
    for act in (
        lambda: layout.refuse_other_format(client, "jobd"),
        lambda: queue.add("t", {}),
        lambda: queue.add_many([("t", {})]),
        lambda: asyncio.run(_aadd(queue)),
    ):
        with pytest.raises(OtherFormat) as refused:
            act()
        assert strange in str(refused.value)
        assert not refused.value.outcome_unknown
    assert sorted(client.scan_iter()) == before
    queue._producer.client.close()


def _queue(client: Client) -> Queue:
    return Jobd(f"unix://{client.connection_pool.connection_kwargs['path']}").queue("q")


async def _aadd(queue: Queue) -> None:
    try:
        await queue.aadd("t", {})
    finally:
        await queue._producer.async_client.aclose()


def test_a_new_store_and_ours_are_taken(client: Client) -> None:
    """No number is none yet."""
    layout.refuse_other_format(client, "jobd")
    read_epoch(client, "jobd", "one")
    layout.refuse_other_format(client, "jobd")
    assert client.get(KEY) == b"1"


@pytest.mark.parametrize("text", ["999", "abc"])
def test_a_producer_that_runs_sees_a_newer_store(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """It asks again now and then, not at every add."""
    queue = Jobd(redis_url).queue("q")
    queue.add("t", {})
    client = connect(redis_url)
    client.set(KEY, text)
    assert queue.add("t", {}).outcome == "enqueued"  # known a moment ago
    queue._producer._known["q"] = 0.0  # as after a while
    with pytest.raises(OtherFormat):
        queue.add("t", {})
    client.close()


@pytest.mark.parametrize(
    "command", [["queues"], ["jobs", "list"], ["enqueue", "q", "t"], ["why", "a"], ["status"], ["schedules"],
                ["jobs", "retry", "a"], ["queues", "pause", "q"]], ids=" ".join
)  # fmt: skip
def test_the_command_line_says_it_by_name(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    redis_url: str,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
) -> None:
    """Redis is not of use to it: 69."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOBD_REDIS_URL", redis_url)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))  # where no daemon runs
    client = connect(redis_url)
    _queue_of(redis_url).add("t", {}, job_id="a")
    client.set(KEY, "999")

    code = main(command)

    said = capsys.readouterr()
    assert "999, says jobd:format" in " ".join((said.out + said.err).split())
    assert code == 69
    client.close()


def _queue_of(url: str) -> Queue:
    return Jobd(url).queue("q")


@pytest.mark.parametrize("text", ["999", "abc", ["a", "list"]])
def test_the_doctor_says_it_by_name(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    redis_url: str,
    capsys: pytest.CaptureFixture[str],
    text: str | list[str],
) -> None:
    """An error, whatever is there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOBD_REDIS_URL", redis_url)
    client = connect(redis_url)
    client.set(KEY, text) if isinstance(text, str) else client.rpush(KEY, *text)
    main(["doctor", "--json"])
    found = [
        each
        for each in _findings(json.loads(capsys.readouterr().out))
        if each["name"] == "redis.format"
    ]
    assert [each["level"] for each in found] == ["error"]
    client.close()


def _findings(said: object) -> list[dict[str, str]]:
    """Give all findings, wherever they stand."""
    if isinstance(said, dict):
        own = [said] if "level" in said else []
        return own + [each for value in said.values() for each in _findings(value)]
    return [each for value in said for each in _findings(value)] if isinstance(said, list) else []


@pytest.mark.parametrize("text", ["999", "abc"])
def test_a_running_worker_claims_no_more_and_goes_on_where_it_is_ours_again(
    redis_url: str, tmp_path: Path, text: str
) -> None:
    """What is not ours to read is left alone; it says why, once."""
    app = Jobd(redis_url)
    queue = app.queue("q")
    queue.task("t")(lambda: None)
    client = app.producer.client
    with working(app, queue, new_page(tmp_path)) as worker:
        queue.add("t", {}, job_id="first")
        eventually(in_state(app, "completed", 1))
        client.set(KEY, text)
        worker.loop._reconcile_at = 0.0  # as after a third of a lease
        eventually(lambda: "broker.lost" in worker.said)
        queue.add("t", {}, job_id="second")
        [lost] = [event for event in worker.events if isinstance(event, BrokerLost)]
        assert KEY in lost.why
        assert in_state(app, "waiting", 1)()
        client.set(KEY, "1")
        eventually(in_state(app, "completed", 2))
    assert worker.said == ["broker.lost", "broker.back"]
    client.close()


@pytest.mark.parametrize("text", ["999", "abc"])
def test_what_runs_keeps_its_lease_whatever_the_format(
    redis_url: str, tmp_path: Path, text: str
) -> None:
    """It would be begun a second time else, by whoever has upgraded the store."""
    page = new_page(tmp_path)
    page.hand_out(incarnation="w.1", queue="q", slot="q.1", cells=1)
    page.set_phase(Phase.BUSY)
    board = Scoreboard.open(tmp_path / "board")
    client = connect(redis_url)
    store = Store(client, "jobd", "q")
    read_epoch(client, "jobd", "one")
    store.join("w.1", 100)
    before = store.open_leases()["w.1"]
    alive = [Alive("w.1", "q", 0)]
    renewer = Renewer(client=client, namespace="jobd", lease=30.0, alive=lambda: alive, board=board)
    client.set(KEY, text)

    renewer.once()

    assert int(store.open_leases()["w.1"]) > int(before) + 20_000
    assert (renewer.rounds, renewer.fenced) == (1, set())
    client.close()
