"""One firing per slot, whatever hosts do: random worlds on a real server, in virtual time.

Hosts look and fire late, with looks that are stale by then; they declare, and disagree; programs put,
pause, resume and remove; the store's clock jumps both ways; the store itself goes back to an older copy.
What should have fired is counted by a model that knows no script: from when a schedule holds, each of
its slots that has come is fired once, and none else is.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support.examples import worlds

from jobd.broker.connection import Client, connect
from jobd.broker.schedules import DECLARED, Due, Round, ScheduleStore
from jobd.broker.views import Views
from jobd.core.schedule import Schedule, job_id, read_schedule
from jobd.keeper.schedules import Floor

START = 1_800_000_000_000 - 1_800_000_000_000 % 60_000
NAMES = ("a", "b")
# Each schedule fires at whole multiples of its period, in ms, so that anybody can count its slots.
TIMINGS: tuple[tuple[dict[str, object], int], ...] = (
    ({"every": "5s"}, 5_000), ({"every": "7s"}, 7_000), ({"cron": "* * * * *"}, 60_000),
    ({"cron": "*/2 * * * *", "tz": "Europe/Berlin"}, 120_000),
)  # fmt: skip
HOSTS = (0, 1, 2)
# Longer than this nobody is away: after 100 slots, or ten minutes without a declaration, other rules hold.
LONGEST_QUIET = 400_000


def spec(name: str, timing: int, task: str) -> Schedule:
    """One of the schedules of this world; all of them make up for what was missed."""
    return read_schedule(name, task, missed="all", **TIMINGS[timing][0])


def multiples(period: int, after: int, until: int) -> Iterator[int]:
    """Count the slots in (after, until]."""
    return iter(range((after // period + 1) * period, until + 1, period))


class Kept:
    """What the model knows of one schedule. All slots up to `decided` are done with."""

    def __init__(self, schedule: Schedule, period: int, decided: int, loaded_at: int) -> None:
        self.schedule = schedule
        self.period = period
        self.decided = decided
        self.loaded_at = loaded_at
        self.paused = False
        self.is_api = False

    def copy(self) -> Kept:
        """Give one that changes apart."""
        made = Kept(self.schedule, self.period, self.decided, self.loaded_at)
        made.paused, made.is_api = self.paused, self.is_api
        return made


def machine(client: Client) -> type[RuleBasedStateMachine]:  # noqa: C901  a world is one class
    """A world bound to one server."""

    class World(RuleBasedStateMachine):
        @initialize()
        def begin(self) -> None:
            client.flushall()
            self.now = START
            self.kept: dict[str, Kept] = {}
            self.expected: set[str] = set()
            self.added: list[str] = []
            self.looks: dict[int, tuple[int, list[Due]]] = {}
            self.floors = [Floor() for _ in HOSTS]
            self.went_back = False
            self.quiet = 0
            self.copies: list[tuple[dict[bytes, tuple[bytes, int]], dict[str, Kept]]] = []

        def store(self, host: int = 0) -> ScheduleStore:
            floor_of = self.floors[host].of
            return ScheduleStore(client, "t", "q", floor_of=floor_of, now=self.now)

        def floor(self, name: str) -> int:
            """All hosts have the same, or one that time has passed (see the_clock_is_set_back)."""
            return max(floor.of(name) for floor in self.floors)

        def come(self, kept: Kept, until: int) -> None:
            """Expect what has come, unless the store's clock was set back since."""
            if kept.paused:
                return
            for slot in multiples(kept.period, kept.decided, until):
                self.expected.add(job_id(kept.schedule.name, slot))
            kept.decided = max(kept.decided, until)

        def all_come(self) -> None:
            for kept in self.kept.values():
                self.come(kept, self.now)

        # --- what happens ---

        @rule(span=st.sampled_from([1, 900, 5_000, 20_000, 61_000, 150_000]))
        def time_passes(self, span: int) -> None:
            if self.quiet + span > LONGEST_QUIET:
                self.the_keepers_declare()
                self.a_host_fires(1)
                self.quiet = 0
            self.quiet += span
            self.now += span

        def the_keepers_declare(self) -> None:
            """Say again what their code says, as they do all the time."""
            for kept in self.kept.values():
                if not kept.is_api:
                    age = self.now - kept.loaded_at
                    word = self.store().put(kept.schedule, origin=DECLARED, age_ms=age)
                    assert word == "same"

        @rule(span=st.sampled_from([1_000, 59_000, 200_000]))
        def the_clock_is_set_back(self, span: int) -> None:
            for host in HOSTS:
                self.a_host_fires(host)
            self.now -= span

        @rule(host=st.sampled_from(HOSTS))
        def a_host_looks(self, host: int) -> None:
            now, _, due = self.store(host).look()
            self.looks[host] = now, due

        @precondition(lambda self: self.looks)
        @rule(data=st.data())
        def a_host_fires_what_it_has_seen(self, data: st.DataObject) -> None:
            """Other hosts have done so since, or the schedule has changed, or the clock."""
            self.fire_what_was_seen(data.draw(st.sampled_from(sorted(self.looks))))

        def fire_what_was_seen(self, host: int) -> None:
            seen_at, due = self.looks.pop(host)
            fired = self.store(host).fire(due, seen_at)
            for each in fired:
                assert each.word in ("fired", "moved", "changed", "early")
                if each.word == "fired":
                    self.added += [job_id(each.name, slot) for slot in each.slots]
                    self.come(self.kept[each.name], seen_at)
            self.floors[host].after(Round(fired, seen_at, None, True))

        @rule(
            order=st.permutations(HOSTS), again=st.permutations(HOSTS),
            spans=st.lists(st.sampled_from([10, 3_000, 6_000]), min_size=3, max_size=3),
        )  # fmt: skip
        def hosts_race(self, order: list[int], again: list[int], spans: list[int]) -> None:
            """One looks after the other, and then they fire in whatever order."""
            for host, span in zip(order, spans, strict=True):
                self.now += span
                self.a_host_looks(host)
            for host in again:
                self.fire_what_was_seen(host)

        @rule(host=st.sampled_from(HOSTS))
        def a_host_fires(self, host: int) -> None:
            looked = self.store(host).fire_due()
            for each in looked.fired:
                assert each.word == "fired"
                self.added += [job_id(each.name, slot) for slot in each.slots]
            self.floors[host].after(looked)
            self.all_come()

        @rule(
            name=st.sampled_from(NAMES), timing=st.integers(0, 3), task=st.sampled_from(["t", "u"]),
            host=st.sampled_from(HOSTS),
        )  # fmt: skip
        def declare_or_put(self, name: str, timing: int, task: str, host: int) -> None:
            """Host 0 is a program; host 2 loaded its code later than host 1, an hour ago."""
            schedule, period = spec(name, timing, task), TIMINGS[timing][1]
            age = {0: 0, 1: 7_200_000, 2: 3_600_000}[host]
            origin = DECLARED if host else "api"
            kept = self.kept.get(name)
            before = self.fired_by_now()
            word = self.store(host).put(schedule, origin=origin, age_ms=age)
            self.note_new(before)
            loaded_at = self.now - age
            if kept is None:
                assert word == "created"
                decided = max(self.now, self.floor(name))
                self.kept[name] = kept = Kept(schedule, period, decided, loaded_at)
                kept.is_api = origin == "api"
            elif kept.schedule == schedule:
                assert word == "same"
                kept.is_api |= origin == "api"
                if loaded_at > kept.loaded_at + 1000:
                    kept.loaded_at = loaded_at
            elif origin == DECLARED and loaded_at <= kept.loaded_at + 1000:
                assert word == "older"
            else:
                assert word == "changed"
                if kept.schedule.timing != schedule.timing:
                    # What was due under the old time is fired, and what else is due with it.
                    if any(multiples(kept.period, kept.decided, self.now)) and not kept.paused:
                        self.all_come()
                    kept.decided = max(kept.decided, self.now, self.floor(name))
                kept.schedule, kept.period, kept.loaded_at = schedule, period, loaded_at
                kept.is_api = origin == "api"

        def fired_by_now(self) -> set[str]:
            return set(Views(client, "t").jobs("q", "waiting", 100_000))

        def note_new(self, before: set[str]) -> None:
            """What a put has fired, it does not tell."""
            self.added += sorted(self.fired_by_now() - before)

        @rule(name=st.sampled_from(NAMES))
        def pause(self, name: str) -> None:
            word = self.store().pause(name)
            assert word == ("paused" if name in self.kept else "gone")
            if name in self.kept and not self.kept[name].paused:
                self.kept[name].paused = True
                self.kept[name].decided = max(self.kept[name].decided, self.now)

        @rule(name=st.sampled_from(NAMES))
        def resume(self, name: str) -> None:
            word = self.store().resume(name)
            kept = self.kept.get(name)
            assert word == ("gone" if kept is None else "resumed" if kept.paused else "running")
            if kept is not None and kept.paused:
                kept.paused = False
                kept.decided = max(kept.decided, self.now)

        @rule(name=st.sampled_from(NAMES))
        def remove(self, name: str) -> None:
            assert self.store().remove(name) == ("removed" if self.kept.pop(name, None) else "gone")

        @rule()
        def copy_the_store(self) -> None:
            dumped = {key: (client.dump(key), 0) for key in client.keys("*")}
            kept = {name: each.copy() for name, each in self.kept.items()}
            self.copies = [*self.copies, (dumped, kept)][-2:]

        @precondition(lambda self: self.copies)
        @rule(data=st.data())
        def the_store_goes_back(self, data: st.DataObject) -> None:
            """Every host has looked at all schedules within the last minute, and knows."""
            for host in HOSTS:
                self.a_host_fires(host)
            dumped, kept = data.draw(st.sampled_from(self.copies))
            client.flushall()
            for key, (raw, _) in dumped.items():
                client.restore(key, 0, raw)
            self.looks, self.went_back = {}, True
            self.kept = {name: each.copy() for name, each in kept.items()}
            for name, each in self.kept.items():
                each.decided = max(each.decided, self.floor(name))
            self.the_keepers_declare()

        @rule()
        def the_store_is_flushed(self) -> None:
            client.flushall()
            self.kept, self.looks, self.copies = {}, {}, []

        # --- what holds ---

        @invariant()
        def no_slot_fires_twice(self) -> None:
            assert len(self.added) == len(set(self.added))

        @invariant()
        def what_fired_had_come(self) -> None:
            """And what has come has fired, as soon as a host has looked."""
            assert set(self.added) <= self.expected | self.due_now()

        def due_now(self) -> set[str]:
            return {
                job_id(name, slot)
                for name, kept in self.kept.items()
                if not kept.paused
                for slot in multiples(kept.period, kept.decided, self.now)
            }

        def teardown(self) -> None:
            if hasattr(self, "kept"):
                self.a_host_fires(0)
                assert set(self.added) == self.expected
                for name, kept in self.kept.items():
                    info = self.store().get(name)
                    assert info is not None
                    assert info.paused == kept.paused
                    assert (info.origin == "api") == kept.is_api
                    if kept.paused:
                        assert info.next_at is None
                        continue
                    expected = next(multiples(kept.period, max(kept.decided, self.now), 10**14))
                    assert info.next_at is not None
                    # What an older copy of the store says is next may be done with: then it is
                    # passed over when its time has come.
                    assert self.now < info.next_at <= expected
                    assert self.went_back or info.next_at == expected

    return World


def test_each_slot_fires_once_in_random_worlds(redis_url: str) -> None:
    """The law."""
    run_state_machine_as_test(
        machine(connect(redis_url)),
        settings=settings(
            max_examples=worlds(400), stateful_step_count=40, deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip


@pytest.mark.parametrize("timing", range(4))
def test_the_worlds_own_count_is_right(timing: int) -> None:
    """Its schedules have their slots at whole multiples."""
    period = TIMINGS[timing][1]
    slots = spec("a", timing, "t").slots.after(START)

    assert [next(slots) for _ in range(20)] == list(
        multiples(period, START, START + 20 * period + period)
    )[:20]
