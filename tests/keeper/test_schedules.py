"""The duty that declares, fires and takes away schedules, on a real server, in virtual time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from jobd.broker.connection import Client, connect
from jobd.broker.schedules import ScheduleInfo, ScheduleStore
from jobd.broker.store import register_queues
from jobd.broker.views import Views
from jobd.core.events import Event
from jobd.core.schedule import Declared, Schedule, read_schedule
from jobd.keeper.declarations import Declarations
from jobd.keeper.schedules import DECLARE_EVERY, GONE_AFTER, Scheduler
from jobd.seams import declared

NOW = 1_800_000_000_000
MINUTE = 60_000


@pytest.fixture
def redis(redis_url: str) -> Client:
    return connect(redis_url)


class Host:
    """A keeper's duty with clocks of the test's. `mono` is in seconds, `now` Redis' in ms."""

    def __init__(self, redis: Client, directory: Path, *in_file: Declared) -> None:
        directory.mkdir(exist_ok=True)
        self.redis = redis
        self.directory = directory
        self.now, self.mono = NOW, 1000.0
        self.said: list[Event] = []
        self.duty = Scheduler(
            store=lambda queue, floor_of: ScheduleStore(
                redis, "t", queue, floor_of=floor_of, now=self.now
            ),
            register=lambda queues: register_queues(redis, "t", queues),
            declarations=Declarations(directory, "boss", in_file=in_file, read_at=900.0),
            emit=self.said.append,
        )

    def code_says(
        self, *schedules: Schedule, owner: str = "boss", loaded_at: float = 950.0
    ) -> None:
        said = [Declared("q", schedule) for schedule in schedules]
        declared.write(
            self.directory, "shop:app",
            declared.Declarations(owner=owner, loaded_at=loaded_at, schedules=said),
        )  # fmt: skip
        later = self.directory / "declared.shop%3Aapp.json"
        stamp = later.stat().st_mtime_ns + 1_000_000 * len(list(self.directory.iterdir()))
        os.utime(later, ns=(stamp, stamp))

    def work(self, seconds: float = 1.0) -> None:
        """One turn, so much later."""
        self.mono += seconds
        self.now += round(seconds * 1000)
        self.duty.work(["q"], self.mono)

    def get(self, name: str = "n") -> ScheduleInfo | None:
        return ScheduleStore(self.redis, "t", "q").get(name)

    def events(self, name: str) -> list[Any]:
        return [event for event in self.said if event.event == name]

    def jobs(self) -> list[str]:
        return Views(self.redis, "t").jobs("q", "waiting", 1000)


def every(span: str, name: str = "n", **more: Any) -> Schedule:
    return read_schedule(name, "t", every=span, **more)


def test_what_the_file_and_the_code_say_is_put_in_force(redis: Client, tmp_path: Path) -> None:
    """Of the same name, the file's. What another daemon has left says nothing."""
    host = Host(redis, tmp_path / "a", Declared("q", every("5s", "both")))
    host.code_says(every("7s", "both"), every("9s", "code"))
    (tmp_path / "a" / "declared.torn.json").write_text("{")
    host.work()
    assert host.get("both").every == 5  # type: ignore[union-attr]
    assert host.get("code").every == 9  # type: ignore[union-attr]
    assert Views(redis, "t").queues() == ["q"]
    assert [event.how for event in host.events("schedule.declared")] == ["created"] * 2

    other = Host(redis, tmp_path / "b")
    other.code_says(every("9s", "old"), owner="an earlier daemon")
    other.work()
    assert other.get("old") is None


def test_new_code_is_heard_at_once_and_an_unchanged_word_every_minute(
    redis: Client, tmp_path: Path
) -> None:
    """The application is loaded after the keeper has begun."""
    host = Host(redis, tmp_path / "a")
    host.work()
    host.code_says(every("5s"))
    host.work()
    assert host.get().every == 5  # type: ignore[union-attr]
    redis.flushall()
    host.work(DECLARE_EVERY - 2)
    assert host.get() is None
    host.work(2)
    assert host.get() is not None
    host.code_says(every("7s"), loaded_at=host.mono)
    host.work()
    assert host.get().every == 7  # type: ignore[union-attr]


def test_each_slot_is_fired_by_one_host(redis: Client, tmp_path: Path) -> None:
    """Both look at the same time, again and again."""
    hosts = [Host(redis, tmp_path / name, Declared("q", every("2s"))) for name in "ab"]
    for _ in range(20):
        for host in hosts:
            host.work()

    assert len(hosts[0].jobs()) == 10
    assert sum(event.jobs for host in hosts for event in host.events("schedule.fired")) == 10
    assert {event.level for event in hosts[0].events("schedule.fired")} == {"debug"}


def test_what_was_missed_is_told(redis: Client, tmp_path: Path) -> None:
    """A count, and how many became jobs late."""
    host = Host(redis, tmp_path / "a", Declared("q", every("1m", missed="skip")))
    host.work()
    host.work(5 * 60 + 30)

    [missed] = host.events("schedule.missed")
    assert (missed.schedule, missed.slots, missed.run) == ("n", 4, 0)
    assert host.jobs() == ["n:2027-01-15T08:05:00Z"]


def test_it_goes_when_nobody_has_declared_it_for_ten_minutes(redis: Client, tmp_path: Path) -> None:
    """By the clock of who looks, however Redis' is set; what a program put stays."""
    host, other = Host(redis, tmp_path / "a"), Host(redis, tmp_path / "b")
    ScheduleStore(redis, "t", "q", now=NOW).put(every("1h", "put"))
    host.code_says(every("1h"))
    other.code_says(every("1h"))
    for each in (host, other):
        each.work()
    host.code_says()
    host.now += 86_400_000  # the store's clock is set; only the looking host has lived on
    for _ in range(3):
        host.work(DECLARE_EVERY)
    other.work(240)
    for _ in range(round(GONE_AFTER / DECLARE_EVERY) - 2):
        host.work(DECLARE_EVERY)
    assert host.get() is not None

    for _ in range(4):
        host.work(DECLARE_EVERY)
    assert host.get() is None
    assert [event.schedule for event in host.events("schedule.gone")] == ["n"]
    assert host.get("put") is not None


def test_a_night_without_hosts_removes_nothing(redis: Client, tmp_path: Path) -> None:
    """A host that comes up looks for ten minutes itself; its code says so again before that, and what
    was missed is made up for."""
    evening = Host(redis, tmp_path / "a", Declared("q", every("1h")))
    evening.work()
    morning = Host(redis, tmp_path / "b")
    morning.now = NOW + 10 * 3_600_000 + 5 * MINUTE
    morning.work()
    assert morning.get() is not None
    assert morning.jobs() == []  # perhaps it is in no code any more
    morning.code_says(every("1h"))
    morning.work()

    assert morning.jobs() == ["n:2027-01-15T18:00:00Z"]


def test_after_a_broken_connection_the_ten_minutes_begin_anew(
    redis: Client, tmp_path: Path
) -> None:
    """What was seen before proves nothing."""
    host = Host(redis, tmp_path / "a")
    host.code_says(every("1h"))
    host.work()
    host.code_says()
    for _ in range(9):
        host.work(DECLARE_EVERY)
    host.duty.forget()
    for _ in range(9):
        host.work(DECLARE_EVERY)
    assert host.get() is not None


@pytest.mark.parametrize("clock", [0, -3_600_000])
def test_a_store_that_lost_everything_fires_nothing_again(
    redis: Client, tmp_path: Path, clock: int
) -> None:
    """Flushed, and its clock perhaps set back: each host's own mark holds (I-27)."""
    hosts = [Host(redis, tmp_path / name, Declared("q", every("10s"))) for name in "ab"]
    for _ in range(7):
        for host in hosts:
            host.work(10)
    fired = set(hosts[0].jobs())
    assert len(fired) == 6
    redis.flushall()
    for host in hosts:
        host.now += clock
        host.duty.forget()
    for _ in range(20):
        for host in hosts:
            host.work(10)

    assert (len(hosts[0].jobs()) > 6) == (clock == 0)
    assert not fired & set(hosts[0].jobs())


def test_what_cannot_be_reckoned_is_told_once(redis: Client, tmp_path: Path) -> None:
    """A zone this host does not know, as after an update of another's."""
    host = Host(redis, tmp_path / "a", Declared("q", read_schedule("n", "t", cron="* * * * *")))
    host.work()
    redis.hset("t:{q}:schedule:n", mapping={"tz": "Moon/Far_Side", "version": "x"})
    for _ in range(50):
        host.work(2)

    [told] = host.events("schedule.unusable")
    assert (told.schedule, told.queue) == ("n", "q")
    assert "Moon/Far_Side" in told.why


def test_a_host_that_came_too_late_passes_over_nothing(redis: Client, tmp_path: Path) -> None:
    """Who was first had looked long before: what has come since is not decided on by that."""
    slow, late = (Host(redis, tmp_path / name, Declared("q", every("5s"))) for name in "ab")
    slow.work()
    late.work()
    now, _, due = ScheduleStore(redis, "t", "q", now=NOW + 6_000).look()

    class Overtaken(ScheduleStore):
        """Between its look and its firing, the slow host fires what it saw."""

        def fire(self, seen: Any, at: int) -> Any:
            [fired] = ScheduleStore(redis, "t", "q", now=NOW + 12_000).fire(due, now)
            assert fired.word == "fired"
            return super().fire(seen, at)

    make = late.duty._make_store
    late.duty._make_store = lambda queue, floor_of: Overtaken(
        redis, "t", queue, floor_of=floor_of, now=NOW + 12_000
    )
    late.duty.fire("q")
    late.duty._make_store = make
    late.now = NOW + 12_000
    late.work()

    assert late.jobs() == ["n:2027-01-15T08:00:05Z", "n:2027-01-15T08:00:10Z"]


def test_what_is_passed_over_with_many_due_lowers_no_floor(redis: Client, tmp_path: Path) -> None:
    """Sixty that nobody declares are due before the others: what is not seen is not decided on."""
    host = Host(redis, tmp_path / "a")
    store = ScheduleStore(redis, "t", "q", now=NOW)
    for number in range(60):
        store.put(every("5s", f"a{number}"), origin="declared")
    store.put(every("5s", "z"))
    host.now = NOW + 660_000
    host.work()
    host.work()
    assert host.duty._floors["q"].of("z") == 0
    assert len([job for job in host.jobs() if job.startswith("z:")]) > 10
