"""From the outboxes to the receivers, over all that goes wrong: each told once, in order, in bounds (I-48)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook
from support import receivers as r
from support.notes import a_note
from support.receivers import Receiver, receiving
from support.servers import eventually

from jobd.alerter.deliver import Deliverer
from jobd.alerter.heartbeat import Heartbeat, daemon_is_well
from jobd.broker.alert_outbox import RedisOutbox
from jobd.broker.connection import connect
from jobd.broker.store import store_ms
from jobd.core.alerts.delivery import MOST, Delivery
from jobd.core.alerts.sending import Refused, pause_before
from jobd.core.config_alerts import HeartbeatConfig, SinkConfig
from jobd.core.delivery_events import (
    AlertGivenUp,
    AlertRefused,
    AlertsDropped,
    AlertSent,
    HeartbeatBack,
    HeartbeatHeld,
    HeartbeatMissed,
)
from jobd.core.errors import BrokerUnavailable
from jobd.core.events import Event
from jobd.seams.alert_outbox import FileOutbox
from jobd.seams.clock import mono
from jobd.seams.log import Log
from jobd.seams.service import DaemonState

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CANARY = "canary-5up3r"
TESTS = Path(__file__).parents[1]


def sink(url: str, name: str = "ops", **changes: Any) -> SinkConfig:
    fields = {"kind": "webhook", "secret": SECRET, "allow_private": True, "timeout": 2.0}
    return SinkConfig(name=name, url=url, **(fields | changes))


def quick(refused: Refused, *, tries: int, waited: float, draw: float) -> float | None:
    """The rule of the pauses, a hundred times as fast."""
    pause = pause_before(refused, tries=tries, waited=waited * 100, draw=draw)
    return None if pause is None else pause / 100


class Bench:
    """A Redis, a file, what was said, and deliverers that are ended with the test."""

    def __init__(self, url: str, directory: Path) -> None:
        self.said: list[Event] = []
        self.redis = RedisOutbox(connect(url), "t")
        self.file = FileOutbox(directory / "outbox.json", emit=self.said.append)
        self.running: list[Deliverer] = []

    def deliver(
        self, *sinks: SinkConfig, boxes: list[Any] | None = None, **changes: Any
    ) -> Deliverer:
        made = Deliverer(
            sinks, [self.file, self.redis] if boxes is None else boxes, emit=self.said.append,
            **({"look_every": 0.02, "pause": quick} | changes),
        )  # fmt: skip
        made.start()
        self.running.append(made)
        return made

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.said if isinstance(event, kind)]

    def empty(self) -> bool:
        return len(self.file) == 0 and self.redis.counts()["waiting"] == 0


@pytest.fixture
def bench(redis_url: str, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(redis_url, tmp_path)
    yield made
    for deliverer in made.running:
        deliverer.stop()
        deliverer.check()


def test_both_outboxes_are_emptied_and_it_is_said(bench: Bench) -> None:
    bench.redis.add(a_note(1), ["ops"])
    bench.file.add(a_note(2, rule="redis down", host="web1"), ["ops"])
    with receiving() as receiver:
        bench.deliver(sink(receiver.url))
        eventually(bench.empty)
    assert sorted(receiver.ids()) == [a_note(1).id, a_note(2).id]
    assert {(event.id, event.sink, event.tries) for event in bench.of(AlertSent)} == {
        (a_note(1).id, "ops", 1), (a_note(2).id, "ops", 1),
    }  # fmt: skip
    assert bench.of(AlertSent)[0].to == f"http://127.0.0.1:{receiver.port}"


def test_waking_it_does_not_wait_for_the_next_look(bench: Bench) -> None:
    with receiving() as receiver:
        deliverer = bench.deliver(sink(receiver.url), look_every=60)
        bench.redis.add(a_note(), ["ops"])
        deliverer.wake()
        eventually(lambda: receiver.hits, within=30)


def test_told_once_over_an_outage_in_order_and_under_one_id(bench: Bench) -> None:
    """The receiver is away in every way, then back; three hosts try."""
    port = r.refusing_port()
    bench.redis.add(a_note(1), ["ops"])
    bench.redis.add(a_note(2, status="resolved"), ["ops"])
    for _ in range(3):
        bench.deliver(sink(f"http://127.0.0.1:{port}/hook", timeout=0.5), boxes=[bench.redis])
    eventually(lambda: len(bench.of(AlertRefused)) >= 4)
    with Receiver(
        r.status(500), r.reset, r.status(503), r.hang, r.status(200), port=port
    ) as receiver:
        eventually(bench.empty, within=20)
    told = [bench.of(AlertSent)[n].id for n in range(2)]
    assert told == [a_note(1).id, a_note(2).id]
    assert len(bench.of(AlertSent)) == 2
    assert receiver.ids()[-2:] == told
    assert set(receiver.ids()[:-1]) == {a_note(1).id}
    for hit in receiver.hits:
        assert (
            Webhook(SECRET).verify(hit.body, hit.headers)["data"]["id"] == hit.headers["webhook-id"]
        )


def test_the_pauses_asked_of_us_are_kept_for_all_of_a_sink(bench: Bench) -> None:
    for n in range(3):
        bench.redis.add(a_note(n, rule=f"r{n}"), ["ops", "other"])
    with (
        receiving(r.status(429, "retry-after: 1"), r.status(204)) as receiver,
        receiving() as other,
    ):
        bench.deliver(sink(receiver.url), sink(other.url, "other"))
        eventually(bench.empty)
    first, *rest = receiver.hits
    assert len(rest) == 3
    assert min(hit.at for hit in rest) - first.at >= 0.99
    assert max(hit.at for hit in other.hits) - first.at < 0.9


def test_gone_is_given_up_and_the_next_is_told(bench: Bench) -> None:
    bench.redis.add(a_note(1), ["ops"])
    bench.redis.add(a_note(2, status="resolved"), ["ops"])
    with receiving(r.status(410), r.status(204)) as receiver:
        bench.deliver(sink(receiver.url))
        eventually(bench.empty)
    [given_up] = bench.of(AlertGivenUp)
    assert (given_up.id, given_up.tries, given_up.status) == (a_note(1).id, 1, "firing")
    assert "HTTP 410" in given_up.why
    assert receiver.ids() == [a_note(1).id, a_note(2).id]
    assert bench.redis.counts() == {"sent": 1, "given_up": 1, "dropped": 0, "waiting": 0}


@pytest.mark.parametrize("box", ["redis", "file"])
def test_what_is_refused_for_an_hour_is_given_up(bench: Bench, box: str) -> None:
    """Here an hour is 36 hundredths of a second."""
    outbox = getattr(bench, box)
    outbox.add(a_note(1), ["ops"])

    def hour(refused: Refused, *, tries: int, waited: float, draw: float) -> float | None:
        pause = pause_before(refused, tries=tries, waited=waited * 10_000, draw=draw)
        return None if pause is None else min(pause, 0.02)

    with receiving(r.status(404)) as receiver:
        bench.deliver(sink(receiver.url), pause=hour)
        eventually(bench.empty)
    [given_up] = bench.of(AlertGivenUp)
    assert given_up.tries == len(receiver.hits) >= 2
    assert "HTTP 404" in given_up.why


def test_a_slow_sink_delays_no_other(bench: Bench) -> None:
    for n in range(20):
        bench.redis.add(a_note(n, rule=f"r{n % 4}"), ["slow", "quick"])
    with receiving(r.hang) as slow, receiving() as quick_one:
        bench.deliver(sink(slow.url, "slow", timeout=60), sink(quick_one.url, "quick"))
        eventually(lambda: len(quick_one.hits) == 20)
        assert len(slow.hits) <= 1
        began = time.monotonic()
        bench.running[0].stop(within=0.2)
        assert time.monotonic() - began < 20


class Away:
    """An outbox over another, that cannot be reached while `is_away`."""

    def __init__(self, box: RedisOutbox) -> None:
        self.box = box
        self.away_for: set[str] = set()
        self.refused: set[str] = set()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            if name in self.away_for:
                self.refused.add(name)
                raise BrokerUnavailable("redis: away")
            return getattr(self.box, name)(*args)

        return call


def test_redis_down_is_told_from_the_file_while_redis_is_down(bench: Bench) -> None:
    away = Away(bench.redis)
    away.away_for = {"take", "done", "again"}
    bench.redis.add(a_note(1), ["ops"])
    bench.file.add(a_note(2, rule="redis down", kind="redis_down", host="web1"), ["ops"])
    with receiving() as receiver:
        bench.deliver(sink(receiver.url), boxes=[bench.file, away])
        eventually(lambda: len(bench.file) == 0)
        assert receiver.ids() == [a_note(2).id]
        away.away_for = set()
        eventually(bench.empty)
    assert receiver.ids() == [a_note(2).id, a_note(1).id]


def test_what_was_told_and_could_not_be_noted_is_not_told_again(
    redis_url: str, bench: Bench
) -> None:
    """Redis goes away between the two; the lease is over when it is back."""
    client = connect(redis_url)
    away = Away(RedisOutbox(client, "t", lease=0.05))
    away.away_for = {"done"}
    bench.redis.add(a_note(), ["ops"])
    with receiving() as receiver:
        bench.deliver(sink(receiver.url), boxes=[away])
        eventually(lambda: "done" in away.refused)
        due = "t:{:alerts}:due", f"{a_note().id} ops"
        eventually(lambda: (client.zscore(*due) or 0.0) < store_ms(client))  # the lease is over
        away.away_for = set()
        eventually(bench.empty)
    assert len(receiver.hits) == 1


def test_what_cannot_be_read_blocks_nothing(bench: Bench, redis_url: str) -> None:
    bench.redis.add(a_note(1), ["ops"])
    bench.redis.add(a_note(2), ["ops"])
    connect(redis_url).hset("t:{:alerts}:notes", a_note(1).id, "email backlog\n{}")
    with receiving() as receiver:
        bench.deliver(sink(receiver.url))
        eventually(bench.empty)
    assert receiver.ids() == [a_note(2).id]
    assert "cannot be read" in bench.of(AlertGivenUp)[0].why


def test_five_thousand_notifications_to_a_dead_receiver_stay_in_bounds(bench: Bench) -> None:
    bench.redis.add(a_note(9999), ["ops"])
    bench.deliver(sink(f"http://127.0.0.1:{r.refusing_port()}/"), boxes=[bench.redis])
    eventually(lambda: bench.of(AlertRefused))
    dropped = 0
    for n in range(5000):
        dropped += bench.redis.add(a_note(n, rule=f"r{n % 20}"), ["ops"])
    counts = bench.redis.counts()
    assert counts["waiting"] == MOST
    assert counts["dropped"] == dropped == 5001 - MOST
    eventually(lambda: sum(event.deliveries for event in bench.of(AlertsDropped)) == dropped)


def test_a_thread_that_failed_is_told_to_whoever_looks(bench: Bench) -> None:
    class Broken:
        def take(self, sinks: list[str]) -> list[Delivery]:
            raise ZeroDivisionError

        def dropped(self) -> int:
            return 0

    deliverer = Deliverer([sink("http://x")], [Broken()], emit=bench.said.append)  # type: ignore[list-item]
    deliverer.start()

    def failed() -> bool:
        try:
            deliverer.check()
        except ZeroDivisionError:
            return True
        return False

    eventually(failed)


# --- several hosts ---


class Hosts:
    """Senders in processes of their own."""

    def __init__(self, url: str, directory: Path) -> None:
        self._url = url
        self._directory = directory
        self.started: list[subprocess.Popen[bytes]] = []
        self.logs: list[Path] = []

    def start(self, to: str, *, speed: str = "quick", lease: float = 90) -> subprocess.Popen[bytes]:
        log = self._directory / f"sender{len(self.started)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "support.senders", self._url, to, SECRET, speed, str(lease)],
                cwd=TESTS, stdin=subprocess.PIPE, stdout=out, stderr=out,
                env=os.environ | {"PYTHONPATH": str(TESTS.parent)},
            )  # fmt: skip
        self.started.append(process)
        self.logs.append(log)
        return process

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = [line for log in self.logs for line in log.read_text().splitlines()]
        return [event for line in lines if (event := json.loads(line))["event"] == name]

    def end(self) -> None:
        for process in self.started:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(60)


@pytest.fixture
def hosts(redis_url: str, tmp_path: Path) -> Iterator[Hosts]:
    made = Hosts(redis_url, tmp_path)
    yield made
    made.end()


def test_a_sender_killed_in_the_middle_leaves_it_to_another(hosts: Hosts, bench: Bench) -> None:
    """SIGKILL while the receiver is thinking: told again by another, under the same id."""
    bench.redis.add(a_note(1), ["ops"])
    bench.redis.add(a_note(2, status="resolved"), ["ops"])
    with receiving(r.hang, r.status(204)) as receiver:
        first = hosts.start(receiver.url, lease=1)
        eventually(lambda: len(receiver.hits) == 1, within=20)
        first.kill()
        first.wait()
        hosts.start(receiver.url, lease=1)
        eventually(bench.empty, within=20)
    assert receiver.ids() == [a_note(1).id, a_note(1).id, a_note(2).id]
    assert receiver.hits[0].body == receiver.hits[1].body
    assert [event["tries"] for event in hosts.events("alert.sent")] == [2, 1]


@pytest.mark.parametrize("count", [100, pytest.param(500, marks=pytest.mark.chaos)])
def test_two_senders_tell_each_once(hosts: Hosts, bench: Bench, count: int) -> None:
    """Those of each of 25 rules in their order."""
    for n in range(count):
        bench.redis.add(a_note(n, rule=f"r{n % 25}"), ["ops"])
    with receiving() as receiver:
        for _ in range(2):
            hosts.start(receiver.url)
        eventually(bench.empty, within=60)
        eventually(lambda: len(hosts.events("alert.sent")) == count)
    assert sorted(receiver.ids()) == [a_note(n).id for n in range(count)]
    for rule in range(25):
        mine = [hit for hit in receiver.hits if json.loads(hit.body)["data"]["rule"] == f"r{rule}"]
        assert [hit.headers["webhook-id"] for hit in mine] == [a_note(n).id for n in range(rule, count, 25)]  # fmt: skip


@pytest.mark.chaos
@pytest.mark.timeout(1200)
def test_ten_real_minutes_without_the_receiver(hosts: Hosts, bench: Bench) -> None:
    """Three hosts, one Redis, the real pauses; half of the time nobody listens, half of it 503."""
    port = r.refusing_port()
    bench.redis.add(a_note(1), ["ops"])
    bench.redis.add(a_note(2, status="resolved"), ["ops"])
    bench.redis.add(a_note(3, rule="other"), ["ops"])
    for _ in range(3):
        hosts.start(f"http://127.0.0.1:{port}/hook", speed="real")
    began = time.monotonic()
    threading.Event().wait(300)
    with Receiver(r.status(503), port=port) as receiver:
        threading.Event().wait(300)
        outage = len(receiver.hits)
        receiver.does(r.status(204))
        eventually(bench.empty, within=320)
        told = receiver.hits[outage:]
    took = time.monotonic() - began
    refused = len(hosts.events("alert.refused"))
    print(
        f"outage 600 s, {refused} refusals, {outage} of them answered 503; empty after {took:.0f} s"
    )
    assert len(told) == len(hosts.events("alert.sent")) == 3
    ids = [hit.headers["webhook-id"] for hit in told]
    assert sorted(ids) == [a_note(n).id for n in (1, 2, 3)]
    assert ids.index(a_note(1).id) < ids.index(a_note(2).id)
    assert {hit.headers["webhook-id"] for hit in receiver.hits[:outage]} == {a_note(n).id for n in (1, 3)}  # fmt: skip
    for hit in told:
        Webhook(SECRET).verify(hit.body, hit.headers)


# --- secrets ---


def test_no_secret_is_in_logs_errors_or_what_is_kept(bench: Bench, tmp_path: Path, redis_url: str) -> None:  # fmt: skip
    """Of every kind of sink, over every kind of failure."""
    log = tmp_path / "log"
    with log.open("wb") as out, receiving(r.status(401, f"location: http://x/{CANARY}", body=CANARY.encode())) as receiver:  # fmt: skip
        write = [Log(style=s, level="debug", role="alerter", fd=out.fileno()) for s in ("json", "console", "journal")]  # fmt: skip
        urls = [
            f"{receiver.url}/{CANARY}?{CANARY}", f"http://{CANARY}:{CANARY}@127.0.0.1:{r.refusing_port()}/{CANARY}",
            f"https://127.0.0.1:{receiver.port}/{CANARY}", f"ftp://x/{CANARY}", f"http://[{CANARY}",
            f"http://127.0.0.1:{CANARY}/",
        ]  # fmt: skip
        sinks = [
            sink(url, f"{kind}{n}", kind=kind, secret=secret, allow_private=n % 2 == 0)
            for n, url in enumerate(urls)
            for kind, secret in (("webhook", CANARY), ("slack", CANARY), ("pagerduty", CANARY), ("webhook", f"whsec_!{CANARY}"))
        ]  # fmt: skip
        names = sorted({each.name for each in sinks})
        bench.redis.add(a_note(1), names)
        bench.file.add(a_note(2), names)
        deliverer = Deliverer(
            sinks, [bench.file, bench.redis], pause=lambda *_, **__: None, look_every=0.02,
            emit=lambda event: [each(event) for each in write] and None,
        )  # fmt: skip
        deliverer.start()
        bench.running.append(deliverer)
        eventually(bench.empty)
    said = log.read_bytes()
    assert said.count(b"alert.given_up") >= 3 * 2 * len(names)
    assert CANARY.encode() not in said
    client = connect(redis_url)
    assert all(CANARY.encode() not in (client.dump(key) or b"") for key in client.keys("*"))
    assert all(CANARY.encode() not in path.read_bytes() for path in tmp_path.iterdir())


# --- the sign of life ---


class Attending:
    """What a service hears of its supervisor."""

    def __init__(self, ready: bool, stopping: bool, ago: float) -> None:
        self.daemon = DaemonState(ready=ready, stopping=stopping)
        self.heard_at = mono() - ago


@pytest.mark.parametrize(
    ("ready", "stopping", "ago", "well"),
    [(True, False, 0, True), (True, False, 9, True), (True, False, 11, False), (False, False, 0, False),
     (True, True, 0, False)],
)  # fmt: skip
def test_a_daemon_is_well_that_was_heard_is_ready_and_stays(ready: bool, stopping: bool, ago: float, well: bool) -> None:  # fmt: skip
    assert daemon_is_well(Attending(ready, stopping, ago)) is well  # type: ignore[arg-type]


@pytest.fixture
def beats() -> Iterator[Callable[..., tuple[Heartbeat, list[Event]]]]:
    made: list[Heartbeat] = []

    def start(url: str, is_well: Callable[[], bool]) -> tuple[Heartbeat, list[Event]]:
        said: list[Event] = []
        config = HeartbeatConfig(url=f"{url}/{CANARY}", every=0.05, allow_private=True)
        heart = Heartbeat(config, is_well=is_well, emit=said.append, look_every=0.02, timeout=1)
        made.append(heart)
        heart.start()
        return heart, said

    yield start
    for each in made:
        each.stop()
        each.check()


def test_the_sign_of_life_is_given_while_all_is_well_and_its_lack_is_said_once(beats: Any) -> None:
    well = threading.Event()
    with receiving() as receiver:
        heart, said = beats(receiver.url, well.is_set)
        well.set()
        eventually(lambda: len(receiver.hits) >= 3)
        assert receiver.hits[0].line.startswith("GET /hook/")
        well.clear()
        eventually(lambda: len(said) == 2)
        seen = len(receiver.hits)
        well.set()
        eventually(lambda: len(receiver.hits) > seen)
        receiver.does(r.status(500))
        eventually(lambda: len(said) == 4)
        receiver.does(r.status(200))
        eventually(lambda: len(said) == 5)
        heart.stop()
        seen = len(receiver.hits)
    assert [type(each) for each in said] == [HeartbeatBack, HeartbeatHeld, HeartbeatBack, HeartbeatMissed, HeartbeatBack]  # fmt: skip
    assert CANARY not in repr(said)
    assert len(receiver.hits) == seen


def test_it_is_not_given_before_the_daemon_is_well_and_that_is_no_news(beats: Any) -> None:
    asked = threading.Semaphore(0)

    def never() -> bool:
        asked.release()
        return False

    with receiving() as receiver:
        _, said = beats(receiver.url, never)
        for _ in range(3):
            assert asked.acquire(timeout=30)
        assert (receiver.connections, said) == (0, [])
